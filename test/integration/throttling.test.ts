import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { LoginDocument, SignUpDocument, ViewerDocument } from "../../src/client/generated/graphql.ts";
import type { PasswordHasher } from "../../src/users/password.ts";
import { createTestClient, signUp } from "../kit/client.ts";
import { DATABASES } from "../kit/databases.ts";
import { startTestNode, type TestNode } from "../kit/node.ts";

/** Counts the verifications, and can hold them all back. */
function watch(passwords: PasswordHasher) {
  let gate = Promise.resolve();
  const watched = { verifications: 0, hold: (): (() => void) => () => {} };
  watched.hold = () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    gate = promise;
    return resolve;
  };
  const hasher: PasswordHasher = {
    ...passwords,
    async verify(hash, password) {
      watched.verifications += 1;
      await gate;
      return passwords.verify(hash, password);
    },
  };
  return { hasher, watched };
}

describe.each(DATABASES)("guessing passwords on the %s database", (kind) => {
  let node: TestNode;
  let watched: ReturnType<typeof watch>["watched"];
  beforeAll(async () => {
    node = await startTestNode(kind, {
      // A proxy that is believed lets a test speak from many addresses.
      settings: { TRUST_PROXY: "loopback", LOGIN_FAILURES_PER_ADDRESS: "30", SIGN_UPS_PER_ADDRESS: "1000" },
      wrapPasswords(passwords) {
        const watching = watch(passwords);
        watched = watching.watched;
        return watching.hasher;
      },
    });
  });
  afterAll(() => node.stop());
  beforeEach(() => {
    watched.verifications = 0;
  });

  let network = 0;
  /** An address in a network of its own. */
  const newAddress = () => `198.18.${network++}.1`;
  const from = (address: string) => createTestClient(node.url, { "x-forwarded-for": address });
  async function attempt(address: string, email: string, password = "a wrong guess") {
    const { data } = await from(address).run(LoginDocument, {
      input: { email, password, returnToken: true },
    });
    return data?.login;
  }
  const names = (outcomes: readonly ({ __typename: string } | undefined)[]) =>
    outcomes.map((outcome) => outcome?.__typename ?? "nothing");
  const count = (all: readonly string[], name: string) => all.filter((each) => each === name).length;
  /** As if so much time had passed for the counters. */
  const pass = (seconds: number) =>
    node.sql("UPDATE rate_limits SET expire = expire - $1", [seconds * 1_000]);

  test("costs nothing five times; then the wait doubles with every failure", async () => {
    const user = await signUp(node.url);
    const address = newAddress();
    for (let tries = 0; tries < 6; tries++) {
      expect((await attempt(address, user.email))?.__typename).toBe("InvalidCredentialsError");
    }
    const waits: number[] = [];
    for (let tries = 0; tries < 12; tries++) {
      const refused = await attempt(address, user.email);
      if (refused?.__typename !== "TooManyAttemptsError")
        throw new Error(`no wait: ${JSON.stringify(refused)}`);
      waits.push(refused.retryAfterSeconds);
      // The limits of a day must not run out with it.
      await node.sql("DELETE FROM rate_limits WHERE key LIKE 'login wait:%'");
      expect((await attempt(address, user.email))?.__typename).toBe("InvalidCredentialsError");
    }
    expect(waits).toEqual([1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]);
  });

  test("does not make the wait longer by trying during it", async () => {
    const user = await signUp(node.url);
    const address = newAddress();
    for (let tries = 0; tries < 8; tries++) await attempt(address, user.email);
    for (let tries = 0; tries < 20; tries++) await attempt(address, user.email);
    await pass(2);
    expect((await attempt(address, user.email, user.password))?.__typename).toBe("LoginSuccess");
  });

  test("starts afresh for the owner who gets it right", async () => {
    const user = await signUp(node.url);
    const address = newAddress();
    for (let round = 0; round < 3; round++) {
      for (let tries = 0; tries < 4; tries++) await attempt(address, user.email);
      expect((await attempt(address, user.email, user.password))?.__typename).toBe("LoginSuccess");
    }
  });

  test("answers the same, wait by wait, whether the account exists or not", async () => {
    const user = await signUp(node.url);
    const outcomes: unknown[][] = [];
    for (const email of [user.email, `${randomUUID()}@example.com`]) {
      const address = newAddress();
      const answers: unknown[] = [];
      for (let tries = 0; tries < 9; tries++) answers.push(await attempt(address, email));
      outcomes.push(answers);
    }
    expect(outcomes[0]).toEqual(outcomes[1]);
  });

  test("200 times at the same moment tries a handful, and the owner still gets in from elsewhere", async () => {
    const user = await signUp(node.url);
    const address = newAddress();
    watched.verifications = 0;
    const outcomes = names(
      await Promise.all(Array.from({ length: 200 }, () => attempt(address, user.email))),
    );
    expect(count(outcomes, "LoginSuccess")).toBe(0);
    // The five that are free, the one after, and what the waits let through while it all ran.
    expect(watched.verifications).toBeLessThanOrEqual(12);
    expect(count(outcomes, "TooManyAttemptsError")).toBe(200 - watched.verifications);
    expect((await attempt(newAddress(), user.email, user.password))?.__typename).toBe("LoginSuccess");
  });

  test("of many accounts from one address ends at the address's limit", async () => {
    const address = newAddress();
    const outcomes: string[] = [];
    for (let tries = 0; tries < 40; tries++) {
      outcomes.push(...names([await attempt(address, `${randomUUID()}@example.com`)]));
    }
    expect(count(outcomes, "InvalidCredentialsError")).toBe(30);
    expect(outcomes.slice(30)).toEqual(Array(10).fill("TooManyAttemptsError"));
  });

  test.each([
    ["of one /64 of IPv6", (index: number) => `2001:db8:${network}:1::${(index + 1).toString(16)}`],
    [
      "in five spellings",
      (index: number) => ["192.0.2.7", "::ffff:192.0.2.7", "::ffff:c000:207"][index % 3] ?? "",
    ],
  ])("from addresses %s counts as from one", async (_name, addressOf) => {
    const email = `${randomUUID()}@example.com`;
    const outcomes: string[] = [];
    for (let index = 0; index < 10; index++)
      outcomes.push(...names([await attempt(addressOf(index), email)]));
    expect(count(outcomes, "InvalidCredentialsError")).toBeLessThanOrEqual(7);
  });

  test("from many networks ends at the account's limit, and its owner gets in from a network of theirs", async () => {
    const user = await signUp(node.url);
    const home = newAddress();
    expect((await attempt(home, user.email, user.password))?.__typename).toBe("LoginSuccess");
    let verified = 0;
    for (let host = 0; host < 26; host++) {
      const address = newAddress();
      for (let tries = 0; tries < 4; tries++) {
        if ((await attempt(address, user.email))?.__typename === "InvalidCredentialsError") verified += 1;
      }
    }
    expect(verified).toBe(100);
    expect((await attempt(newAddress(), user.email, user.password))?.__typename).toBe("TooManyAttemptsError");
    expect((await attempt(home, user.email, user.password))?.__typename).toBe("LoginSuccess");
  });

  test("by aliases or in a batch does not get more than one try in a request", async () => {
    const user = await signUp(node.url);
    const login = `login(input: {email: "${user.email}", password: "guess", returnToken: true}) { __typename }`;
    watched.verifications = 0;
    const aliases = Array.from({ length: 50 }, (_, index) => `a${index}: ${login}`).join(" ");
    const aliased = await createTestClient(node.url).run(`mutation { ${aliases} }`);
    expect(aliased.errors[0]?.extensions?.["code"]).toBe("LIMIT_EXCEEDED");
    const batch = await fetch(`${node.url}/graphql`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(Array.from({ length: 100 }, () => ({ query: `mutation { ${login} }` }))),
    });
    expect(batch.status).toBe(400);
    expect(watched.verifications).toBe(0);
  });

  test("never touches a session that is already in, nor makes it wait while all hashing stands still", async () => {
    const user = await signUp(node.url);
    const release = watched.hold();
    try {
      const storm = Array.from({ length: 300 }, () =>
        attempt(newAddress(), `${randomUUID()}@example.com`).catch(() => undefined),
      );
      for (let requests = 0; requests < 20; requests++) {
        expect((await user.run(ViewerDocument)).data?.viewer?.id).toBe(user.userId);
      }
      release();
      await Promise.all(storm);
    } finally {
      release();
    }
    expect((await user.run(ViewerDocument)).data?.viewer?.id).toBe(user.userId);
  });

  test("is counted for all nodes together", async () => {
    const user = await signUp(node.url);
    const second =
      kind === "postgres"
        ? await startTestNode(kind, { on: sharedWith(node), settings: { TRUST_PROXY: "loopback" } })
        : node;
    try {
      const address = newAddress();
      for (let tries = 0; tries < 6; tries++) await attempt(address, user.email);
      const client = createTestClient(second.url, { "x-forwarded-for": address });
      const input = { email: user.email, password: "a wrong guess", returnToken: true };
      expect((await client.run(LoginDocument, { input })).data?.login.__typename).toBe(
        "TooManyAttemptsError",
      );
    } finally {
      if (second !== node) await second.stop();
    }
  });

  test("leaves no email and no address in the table of counters", async () => {
    const address = newAddress();
    await attempt(address, "somebody@example.com");
    const keys = JSON.stringify(await node.sql("SELECT key FROM rate_limits"));
    expect(keys).not.toContain("example.com");
    expect(keys).not.toContain(address);
  });
});

test("signing up is limited for each address", async () => {
  const node = await startTestNode("postgres", { settings: { SIGN_UPS_PER_ADDRESS: "3" } });
  try {
    const outcomes: unknown[] = [];
    for (let tries = 0; tries < 5; tries++) {
      const password = "a fine password";
      const input = { email: `${randomUUID()}@example.com`, name: "Ann", password, returnToken: true };
      const { data } = await createTestClient(node.url).run(SignUpDocument, {
        input: { ...input, passwordConfirmation: password },
      });
      outcomes.push(data?.signUp.__typename);
    }
    expect(outcomes).toEqual([...Array(3).fill("LoginSuccess"), ...Array(2).fill("TooManyAttemptsError")]);
  } finally {
    await node.stop();
  }
});

/** The database of a node, for another one. */
function sharedWith(node: TestNode) {
  return { kind: "postgres" as const, settings: node.databaseSettings, remove: async () => {} };
}
