import { randomUUID } from "node:crypto";
import argon2 from "argon2";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  ChangeUserRoleDocument,
  LoginDocument,
  LogoutDocument,
  RevokeAllSessionsDocument,
  SetUserStatusDocument,
  SignUpDocument,
  type SignUpInput,
  ViewerDocument,
} from "../../src/client/generated/graphql.ts";
import { createTestClient, logIn, logInByCookie, signUp, withCookie, withToken } from "../kit/client.ts";
import { createTestDatabase, DATABASES } from "../kit/databases.ts";
import { ADMIN, startTestNode, type TestNode } from "../kit/node.ts";

function signUpInput(changes: Partial<SignUpInput> = {}): SignUpInput {
  const password = changes.password ?? "correct horse";
  return {
    email: `${randomUUID()}@example.com`,
    name: "Ann",
    password,
    passwordConfirmation: password,
    returnToken: true,
    ...changes,
  };
}

describe.each(DATABASES)("accounts on the %s database", (kind) => {
  let node: TestNode;
  beforeAll(async () => {
    node = await startTestNode(kind);
  });
  afterAll(() => node.stop());

  const signUpWith = async (changes: Partial<SignUpInput>) =>
    (await createTestClient(node.url).run(SignUpDocument, { input: signUpInput(changes) })).data?.signUp;
  const logInWith = async (email: string, password: string) =>
    (await createTestClient(node.url).run(LoginDocument, { input: { email, password, returnToken: true } }))
      .data?.login;

  describe("signing up", () => {
    test("begins a session of a new USER", async () => {
      const result = await signUpWith({ name: "  Ann Example " });
      expect(result).toMatchObject({
        __typename: "LoginSuccess",
        user: { name: "Ann Example", role: "USER" },
      });
    });

    test("with an email that is taken, in any case, is refused as EmailTakenError", async () => {
      const email = `${randomUUID()}@example.com`;
      expect((await signUpWith({ email }))?.__typename).toBe("LoginSuccess");
      expect((await signUpWith({ email: email.toUpperCase() }))?.__typename).toBe("EmailTakenError");
    });

    test.each<[string, Partial<SignUpInput>, string]>([
      ["an email with two @", { email: "a@b@c" }, "input.email"],
      ["an email with a full-width @", { email: "victim＠example.com" }, "input.email"],
      ["an email after a space", { email: " a@example.com" }, "input.email"],
      ["an email with a NUL", { email: "a\0@example.com" }, "input.email"],
      ["an email of 10 KB", { email: `${"a".repeat(10_000)}@example.com` }, "input.email"],
      ["an empty name", { name: "  " }, "input.name"],
      ["a name with a NUL", { name: "A\0nn" }, "input.name"],
      ["a name with half a character", { name: "A\ud800" }, "input.name"],
      ["a name that turns the writing direction", { name: "A\u202enn" }, "input.name"],
      ["a name of 10 KB", { name: "n".repeat(10_000) }, "input.name"],
      ["a password of 7 characters", { password: "seven77" }, "input.password"],
      ["a password of 257 characters", { password: "x".repeat(257) }, "input.password"],
      ["a password of 900 KB", { password: "x".repeat(900_000), passwordConfirmation: "" }, "input.password"],
      ["a password with a NUL", { password: "password\0" }, "input.password"],
      ["a password that is tried first", { password: "Iloveyou1" }, "input.password"],
      [
        "another password the second time",
        { passwordConfirmation: "different" },
        "input.passwordConfirmation",
      ],
    ])("with %s is refused, naming the field", async (_name, changes, path) => {
      const result = await signUpWith(changes);
      if (result?.__typename !== "ValidationError") throw new Error(`got ${JSON.stringify(result)}`);
      expect(result.issues.map((issue) => issue.path)).toContain(path);
    });

    test.each([
      ["64 emoji", "😀".repeat(64)],
      ["256 letters", "x".repeat(256)],
    ])("with a password of %s works, and so does logging in with it", async (_name, password) => {
      const email = `${randomUUID()}@example.com`;
      expect((await signUpWith({ email, password }))?.__typename).toBe("LoginSuccess");
      expect((await logInWith(email, password))?.__typename).toBe("LoginSuccess");
    });
  });

  test("an error about an input never repeats the input, which has the password", async () => {
    const password = "a secret that nobody logs";
    const query = "mutation($input: LoginInput!) { login(input: $input) { __typename } }";
    const inputs: [unknown, string][] = [
      [{ email: "a@example.com", password, nothing: 1 }, 'not to include unknown field "nothing"'],
      [{ email: 5, password }, 'at "input.email"'],
      [{ password }, 'to include required field "email"'],
      [{ email: "a@example.com", password: { of: password } }, 'at "input.password"'],
    ];
    for (const [input, hint] of inputs) {
      const { errors } = await createTestClient(node.url).run(query, { input });
      expect(errors[0]?.extensions?.["code"]).toBe("BAD_REQUEST");
      expect(errors[0]?.message).toContain(hint);
      expect(JSON.stringify(errors)).not.toContain(password);
    }
    expect(node.logged.join("")).not.toContain(password);
  });

  describe("logging in", () => {
    test("takes the email in any case", async () => {
      const user = await signUp(node.url);
      expect((await logInWith(user.email.toUpperCase(), user.password))?.__typename).toBe("LoginSuccess");
    });

    test("takes the password in any Unicode form: typed composed or decomposed", async () => {
      const email = `${randomUUID()}@example.com`;
      await signUpWith({ email, password: "pâsswörd".normalize("NFC") });
      expect((await logInWith(email, "pâsswörd".normalize("NFD")))?.__typename).toBe("LoginSuccess");
    });

    test("tells passwords apart that differ after their first 72 bytes", async () => {
      const email = `${randomUUID()}@example.com`;
      await signUpWith({ email, password: `${"x".repeat(80)}a` });
      expect((await logInWith(email, `${"x".repeat(80)}b`))?.__typename).toBe("InvalidCredentialsError");
    });

    test("gives one answer for an unknown email, a wrong password and a deactivated user", async () => {
      const user = await signUp(node.url);
      const deactivated = await signUp(node.url);
      await node.sql("UPDATE users SET status = 'DEACTIVATED' WHERE id = $1", [deactivated.userId]);
      const answers = [
        await logInWith(`${randomUUID()}@example.com`, "whatever it is"),
        await logInWith("not an email", "whatever it is"),
        await logInWith(user.email, "whatever it is"),
        await logInWith(deactivated.email, deactivated.password),
      ];
      expect(answers[0]?.__typename).toBe("InvalidCredentialsError");
      for (const answer of answers) expect(answer).toEqual(answers[0]);
    });

    test("with what is too long to look at is refused before any hashing", async () => {
      expect(await logInWith("a@example.com", "x".repeat(900_000))).toMatchObject({
        __typename: "ValidationError",
        issues: [{ path: "input.password" }],
      });
    });

    test("with a hash in the database that is none fails like a wrong password", async () => {
      const user = await signUp(node.url);
      await node.sql("UPDATE users SET password_hash = 'nonsense' WHERE id = $1", [user.userId]);
      expect((await logInWith(user.email, user.password))?.__typename).toBe("InvalidCredentialsError");
    });

    test("hashes the password anew when the cost was changed, and logs nobody out by it", async () => {
      const user = await signUp(node.url);
      const cheap = await argon2.hash(user.password, {
        type: argon2.argon2id,
        memoryCost: 8_192,
        timeCost: 2,
        parallelism: 1,
      });
      await node.sql(
        `WITH settings AS MATERIALIZED (SELECT set_config('live_logout.same_password', 'on', true))
         UPDATE users SET password_hash = $2 FROM settings WHERE id = $1`,
        [user.userId, cheap],
      );

      expect((await logInWith(user.email, user.password))?.__typename).toBe("LoginSuccess");

      const [row] = await node.sql("SELECT password_hash FROM users WHERE id = $1", [user.userId]);
      expect(row?.["password_hash"]).toMatch(/^\$argon2id\$v=19\$m=19456,/);
      expect((await user.run(ViewerDocument)).data?.viewer?.id).toBe(user.userId);
      expect((await logInWith(user.email, user.password))?.__typename).toBe("LoginSuccess");
    });

    test("stores the token only as its hash, and the password only as argon2id", async () => {
      const user = await signUp(node.url);
      const [row] = await node.sql(
        "SELECT to_jsonb(sessions) || to_jsonb(users) AS row FROM sessions JOIN users ON users.id = user_id WHERE sessions.id = $1",
        [user.sessionId],
      );
      const text = JSON.stringify(row);
      expect(text).toContain("$argon2id$");
      expect(text).not.toContain(user.token);
      expect(text).not.toContain(user.password);
    });
  });

  describe("the session cookie", () => {
    const browser = (headers: Record<string, string> = {}) =>
      createTestClient(node.url, { origin: node.url, "sec-fetch-site": "same-origin", ...headers });
    const cookieOf = (headers: Headers) => headers.getSetCookie().join("\n");

    test("is all that a browser gets: HttpOnly, SameSite=Strict, for this browser session only", async () => {
      const user = await signUp(node.url);
      const { data, headers } = await browser().run(LoginDocument, {
        input: { email: user.email, password: user.password },
      });
      expect(data?.login).toMatchObject({ __typename: "LoginSuccess", token: null });
      expect(cookieOf(headers)).toMatch(/^session=lls_[0-9A-Za-z]{49}; Path=\/; HttpOnly; SameSite=Strict$/);
      const cookie = cookieOf(headers).split(";")[0] ?? "";
      expect((await browser({ cookie }).run(ViewerDocument)).data?.viewer?.id).toBe(user.userId);
    });

    test("with remember lives as long as the session", async () => {
      const user = await signUp(node.url);
      const input = { email: user.email, password: user.password, remember: true };
      const { headers } = await browser().run(LoginDocument, { input });
      const maxAge = Number(/Max-Age=(\d+)/.exec(cookieOf(headers))?.[1]);
      expect(maxAge).toBeGreaterThan(89 * 86_400);
      expect(maxAge).toBeLessThanOrEqual(90 * 86_400);
    });

    test("is a __Host-Http- cookie with Secure where the service is reached by https", async () => {
      const secure = await startTestNode(kind, { settings: { PUBLIC_URL: "https://login.example.com" } });
      try {
        const client = createTestClient(secure.url, { origin: "https://login.example.com" });
        const { headers } = await client.run(SignUpDocument, { input: signUpInput({ returnToken: false }) });
        expect(cookieOf(headers)).toMatch(
          /^__Host-Http-session=lls_[0-9A-Za-z]{49}; Path=\/; Secure; HttpOnly; SameSite=Strict$/,
        );
        const token = /lls_\w+/.exec(cookieOf(headers))?.[0];
        const plain = createTestClient(secure.url, { cookie: `session=${token}` });
        expect((await plain.run(ViewerDocument)).data?.viewer).toBeNull();
      } finally {
        await secure.stop();
      }
    });

    test("goes at the logout, with what else the origin is told to forget, if a setting says so", async () => {
      const tidy = await startTestNode(kind, { settings: { CLEAR_SITE_DATA: "storage,cache" } });
      try {
        const { token } = await logInByCookie(tidy.url, await signUp(tidy.url));
        expect(
          (await withCookie(tidy.url, token).run(ViewerDocument)).headers.get("clear-site-data"),
        ).toBeNull();
        const { headers } = await withCookie(tidy.url, token).run(LogoutDocument);
        expect(headers.get("clear-site-data")).toBe('"storage", "cache"');
        expect(cookieOf(headers)).toMatch(/Max-Age=0|Expires=/);
        // A tab that comes back after its session was ended elsewhere is told the same.
        const late = await withCookie(tidy.url, token).run(ViewerDocument);
        expect(late.headers.get("clear-site-data")).toBe('"storage", "cache"');
      } finally {
        await tidy.stop();
      }
    });

    test("returnToken is refused to a browser", async () => {
      const { data } = await browser().run(SignUpDocument, { input: signUpInput({ returnToken: true }) });
      expect(data?.signUp).toMatchObject({
        __typename: "ValidationError",
        issues: [{ path: "input.returnToken" }],
      });
    });

    test("is cleared by logging out, with the same attributes", async () => {
      const user = await signUp(node.url);
      const { headers } = await browser({ cookie: `session=${user.token}` }).run(LogoutDocument);
      expect(cookieOf(headers)).toBe("session=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0");
    });

    test("of a session that ended is cleared by the answer that says why", async () => {
      const user = await signUp(node.url);
      await user.run(LogoutDocument);
      const { headers, errors } = await browser({ cookie: `session=${user.token}` }).run(ViewerDocument);
      expect(errors).toMatchObject([{ extensions: { code: "UNAUTHENTICATED", reason: "LOGOUT" } }]);
      expect(cookieOf(headers)).toContain("Max-Age=0");
    });

    test.each([
      ["twice in one request", (token: string) => `session=${token}; session=${token}`],
      ["in quotes", (token: string) => `session="${token}"`],
      ["empty", () => "session="],
      ["under the name that https would use", (token: string) => `__Host-Http-session=${token}`],
      ["in capitals", (token: string) => `SESSION=${token}`],
    ])("is nobody's when it comes %s", async (_name, cookie) => {
      const user = await signUp(node.url);
      const { data, status } = await browser({ cookie: cookie(user.token) }).run(ViewerDocument);
      expect({ data, status }).toEqual({ data: { viewer: null }, status: 200 });
    });

    test("against fixation: logging in replaces the session that the browser brought, and ends it", async () => {
      const user = await signUp(node.url);
      const input = { email: user.email, password: user.password };
      const { headers } = await browser({ cookie: `session=${user.token}` }).run(LoginDocument, { input });
      expect(cookieOf(headers)).toContain("session=lls_");
      expect(cookieOf(headers)).not.toContain(user.token);
      expect((await user.run(ViewerDocument)).errors).toMatchObject([{ extensions: { reason: "LOGOUT" } }]);
    });

    test("against replay: it is refused after logout, as cookie and as bearer", async () => {
      const user = await signUp(node.url);
      await user.run(LogoutDocument);
      for (const client of [browser({ cookie: `session=${user.token}` }), withToken(node.url, user.token)]) {
        expect((await client.run(ViewerDocument)).data?.viewer).toBeNull();
      }
    });
  });

  describe("administration", () => {
    test("changes a role, which the user has after logging in again", async () => {
      const admin = await logIn(node.url, ADMIN);
      const user = await signUp(node.url);
      const { data } = await admin.run(ChangeUserRoleDocument, { userId: user.userId, role: "SUPPORT" });
      expect(data?.changeUserRole).toMatchObject({ revokedCount: 1, user: { role: "SUPPORT" } });
      expect((await (await logIn(node.url, user)).run(ViewerDocument)).data?.viewer?.role).toBe("SUPPORT");
    });

    test("with the role or status that a user has already ends nothing", async () => {
      const admin = await logIn(node.url, ADMIN);
      const user = await signUp(node.url);
      const { data } = await admin.run(ChangeUserRoleDocument, { userId: user.userId, role: "USER" });
      expect(data?.changeUserRole).toMatchObject({ __typename: "UserSuccess", revokedCount: 0 });
      expect((await user.run(ViewerDocument)).data?.viewer?.id).toBe(user.userId);
    });

    test("deactivates a user, who can log in again only after being activated", async () => {
      const admin = await logIn(node.url, ADMIN);
      const user = await signUp(node.url);
      await admin.run(SetUserStatusDocument, { userId: user.userId, status: "DEACTIVATED" });
      expect((await logInWith(user.email, user.password))?.__typename).toBe("InvalidCredentialsError");
      await admin.run(SetUserStatusDocument, { userId: user.userId, status: "ACTIVE" });
      expect((await logInWith(user.email, user.password))?.__typename).toBe("LoginSuccess");
      expect((await user.run(ViewerDocument)).data?.viewer).toBeNull();
    });

    test.each(["nonsense", randomUUID(), "' or 1=1--", "x".repeat(10_000)])(
      "finds no user %.20s",
      async (userId) => {
        const admin = await logIn(node.url, ADMIN);
        const { data } = await admin.run(ChangeUserRoleDocument, { userId, role: "USER" });
        expect(data?.changeUserRole.__typename).toBe("NotFoundError");
      },
    );

    test("the last active administrator can be neither demoted nor deactivated", async () => {
      const admin = await logIn(node.url, ADMIN);
      const demoted = await admin.run(ChangeUserRoleDocument, { userId: admin.userId, role: "USER" });
      expect(demoted.data?.changeUserRole).toMatchObject({
        __typename: "ValidationError",
        issues: [{ path: "role" }],
      });
      const deactivated = await admin.run(SetUserStatusDocument, {
        userId: admin.userId,
        status: "DEACTIVATED",
      });
      expect(deactivated.data?.setUserStatus).toMatchObject({
        __typename: "ValidationError",
        issues: [{ path: "status" }],
      });
    });

    test("of two administrators who demote each other at once, one remains, each of many times", async () => {
      const admin = await logIn(node.url, ADMIN);
      for (let round = 0; round < 5; round++) {
        const other = await signUp(node.url);
        await admin.run(ChangeUserRoleDocument, { userId: other.userId, role: "ADMIN" });
        const [one, two] = [await logIn(node.url, ADMIN), await logIn(node.url, other)];
        await Promise.all([
          one.run(ChangeUserRoleDocument, { userId: two.userId, role: "USER" }),
          two.run(ChangeUserRoleDocument, { userId: one.userId, role: "USER" }),
        ]);
        const rows = await node.sql("SELECT id FROM users WHERE role = 'ADMIN' AND status = 'ACTIVE'");
        expect(rows).toHaveLength(1);
        await node.sql("UPDATE users SET role = 'ADMIN' WHERE email = $1", [ADMIN.email]);
        await node.sql("UPDATE users SET role = 'USER' WHERE id = $1", [other.userId]);
        await admin.run(RevokeAllSessionsDocument, {});
        Object.assign(admin, await logIn(node.url, ADMIN));
      }
    });
  });
});

describe("the first start", () => {
  test("creates an administrator once, with a password that is told once", async () => {
    const database = await createTestDatabase("postgres");
    const settings = { ADMIN_PASSWORD: "", ADMIN_EMAIL: "" };
    const first = await startTestNode("postgres", { on: database, settings });
    const password = first.firstAdministrator?.generatedPassword ?? "";
    expect(password.length).toBeGreaterThanOrEqual(20);
    const admin = await logIn(first.url, { email: "admin@localhost", password });
    expect((await admin.run(ViewerDocument)).data?.viewer?.role).toBe("ADMIN");
    await first.stop();

    const second = await startTestNode("postgres", { on: database, settings });
    expect(second.firstAdministrator).toBeUndefined();
    expect((await withToken(second.url, admin.token).run(ViewerDocument)).data?.viewer?.role).toBe("ADMIN");
    await second.stop();
    await database.remove();
  });

  test("does not promote whoever has the administrator's email already", async () => {
    const database = await createTestDatabase("postgres");
    const first = await startTestNode("postgres", { on: database });
    const user = await signUp(first.url);
    await first.sql("DELETE FROM users WHERE role = 'ADMIN'");
    await first.stop();
    await expect(
      startTestNode("postgres", { on: database, settings: { ADMIN_EMAIL: user.email } }),
    ).rejects.toThrow(/is an ordinary user. Set ADMIN_EMAIL/);
    await database.remove();
  });
});
