import { randomUUID } from "node:crypto";
import { getEventListeners } from "node:events";
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import PostalMime from "postal-mime";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  ConfirmSignUpDocument,
  LoginDocument,
  LogoutDocument,
  ReportSessionDocument,
  RequestPasswordResetDocument,
  SignUpDocument,
  ViewerDocument,
} from "../../src/client/generated/graphql.ts";
import { readConfig } from "../../src/config.ts";
import { createLog } from "../../src/log.ts";
import { deliverMails } from "../../src/mail/delivery.ts";
import { createMailTransport } from "../../src/mail/transport.ts";
import { cookieSetBy, createTestClient, logIn, signUp } from "../kit/client.ts";
import { createTestDatabase, DATABASES } from "../kit/databases.ts";
import { eventually, within } from "../kit/deadline.ts";
import { type MailServer, startMailServer, tokenIn } from "../kit/mail-server.ts";
import { startTestNode, type TestNode } from "../kit/node.ts";
import { subscribeByWebSocket } from "../kit/subscriber.ts";

const SIGN_IN = "New sign-in to your account";
const RESET = "Choose a new password";
const FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0";
const NEXT_FIREFOX = FIREFOX.replaceAll("145.0", "146.0");
const SAFARI =
  "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Safari/605.1.15";

describe.each(DATABASES)("mail on the %s database", (kind) => {
  let node: TestNode;
  let mails: MailServer;
  beforeAll(async () => {
    mails = await startMailServer();
    node = await startTestNode(kind, { settings: { ...mails.settings, TRUST_PROXY: "loopback" } });
  });
  afterAll(async () => {
    await node.stop();
    await mails.stop();
  });

  type Credentials = { readonly email: string; readonly password: string };
  async function logInFrom({ email, password }: Credentials, userAgent: string, address: string) {
    const client = createTestClient(node.url, { "user-agent": userAgent, "x-forwarded-for": address });
    const { data } = await client.run(LoginDocument, { input: { email, password, returnToken: true } });
    if (data?.login.__typename !== "LoginSuccess" || !data.login.token) throw new Error(JSON.stringify(data));
    return { sessionId: data.login.session.id, token: data.login.token };
  }
  const report = async (token: string) =>
    (await createTestClient(node.url).run(ReportSessionDocument, { token })).data?.reportSession;
  const signInsTo = (email: string) => mails.to(email).filter((mail) => mail.subject === SIGN_IN).length;
  /** Waits until every mail that was written down so far has been dealt with. */
  const flush = () =>
    eventually("an empty outbox", async () => (await node.sql("SELECT FROM outbox")).length === 0);

  test("looking for mails, every two seconds, leaves nothing behind", async () => {
    const { signal } = new AbortController();
    await deliverMails(
      {
        prisma: node.database.prisma,
        transport: createMailTransport(readConfig(mails.settings), createLog("silent")),
        compose: async () => undefined,
        now: () => 0,
        log: createLog("silent"),
      },
      signal,
    );
    expect(getEventListeners(signal, "abort")).toEqual([]);
  });

  describe("of a new sign-in", () => {
    test("tells time, device and address, in text and in HTML", async () => {
      const user = await signUp(node.url);
      await logInFrom(user, FIREFOX, "198.51.100.7");
      const mail = await mails.find(user.email, SIGN_IN);
      for (const content of [mail.text, mail.html]) {
        expect(content).toContain("Firefox on Linux");
        expect(content).toContain("198.51.100.7");
        expect(content).toMatch(/\d{4}-\d\d-\d\d \d\d:\d\d UTC/);
        expect(content).toContain("http://login.example/report-session#token=");
      }
    });

    test("comes for a device or a network that is new, and for none that is known", async () => {
      const user = await signUp(node.url);
      const logIns: [string, string, number][] = [
        [FIREFOX, "198.51.100.7", 1],
        [FIREFOX, "198.51.100.7", 1],
        // A newer version of the browser, another address of the same network: nothing new.
        [NEXT_FIREFOX, "198.51.100.99", 1],
        [FIREFOX, "203.0.113.7", 2],
        [SAFARI, "203.0.113.7", 3],
        [SAFARI, "198.51.100.7", 3],
      ];
      for (const [userAgent, address, total] of logIns) {
        await logInFrom(user, userAgent, address);
        await flush();
        expect([userAgent, address, signInsTo(user.email)]).toEqual([userAgent, address, total]);
      }
    });

    test("does not come for signing up itself", async () => {
      const user = await signUp(node.url);
      await logIn(node.url, user);
      await flush();
      expect(signInsTo(user.email)).toBe(0);
    });

    test("shows a name as it is written, and runs nothing of it", async () => {
      const password = "a fine password";
      const email = `${randomUUID()}@example.com`;
      const name = '<img src=x onerror=alert(1)> & "Ann"';
      await createTestClient(node.url).run(SignUpDocument, {
        input: { email, name, password, passwordConfirmation: password, returnToken: true },
      });
      await logInFrom({ email, password }, FIREFOX, "198.51.100.7");
      const mail = await mails.find(email, SIGN_IN);
      expect(mail.text).toContain(`Hello ${name},`);
      expect(mail.html).not.toContain("<img");
      expect(mail.html).toContain("&lt;img");
    });

    test("has a link that ends that session with REPORTED, without a login, once", async () => {
      const user = await signUp(node.url);
      const stolen = await logInFrom(user, FIREFOX, "198.51.100.7");
      const subscriber = await subscribeByWebSocket(node.url, stolen.token);
      const token = tokenIn(await mails.find(user.email, SIGN_IN));
      expect(await report(token)).toMatchObject({
        __typename: "RevokeSessionSuccess",
        session: { id: stolen.sessionId },
      });
      expect((await within(5_000, "the close", subscriber.closed)).reason).toBe("Session revoked: REPORTED");
      expect((await report(token))?.__typename).toBe("NotFoundError");
      // The user's other sessions are theirs.
      expect((await user.run(ViewerDocument)).data?.viewer?.id).toBe(user.userId);
    });

    test("has a link that also offers a new password, by another mail", async () => {
      const user = await signUp(node.url);
      await logInFrom(user, FIREFOX, "198.51.100.7");
      await report(tokenIn(await mails.find(user.email, SIGN_IN)));
      expect((await mails.find(user.email, RESET)).text).toContain("/reset-password#token=");
    });

    test("has a link that still offers a new password when the session has ended, and keeps its reason", async () => {
      const user = await signUp(node.url);
      const session = await logInFrom(user, FIREFOX, "198.51.100.7");
      const token = tokenIn(await mails.find(user.email, SIGN_IN));
      const headers = { authorization: `Bearer ${session.token}` };
      await createTestClient(node.url, headers).run(LogoutDocument);
      expect((await report(token))?.__typename).toBe("RevokeSessionSuccess");
      await mails.find(user.email, RESET);
      const rows = await node.sql("SELECT revocation_reason FROM sessions WHERE id = $1", [
        session.sessionId,
      ]);
      expect(rows).toEqual([{ revocation_reason: "LOGOUT" }]);
    });

    test("has a link that two clicks at the same moment use once", async () => {
      const user = await signUp(node.url);
      await logInFrom(user, FIREFOX, "198.51.100.7");
      const token = tokenIn(await mails.find(user.email, SIGN_IN));
      const outcomes = await Promise.all([report(token), report(token)]);
      expect(outcomes.map((outcome) => outcome?.__typename).toSorted()).toEqual([
        "NotFoundError",
        "RevokeSessionSuccess",
      ]);
      await flush();
      expect(mails.to(user.email).filter((mail) => mail.subject === RESET)).toHaveLength(1);
    });
  });

  test("is sent once the mail server takes it again, and delays no login meanwhile", async () => {
    const user = await signUp(node.url);
    mails.refuse(true);
    try {
      const before = mails.refused();
      await logInFrom(user, FIREFOX, "198.51.100.7");
      await eventually("a mail that is turned away", () => mails.refused() > before);
    } finally {
      mails.refuse(false);
    }
    expect(signInsTo(user.email)).toBe(0);
    await eventually("the next attempt being set", async () => {
      const rows = await node.sql("SELECT attempts FROM outbox WHERE user_id = $1", [user.userId]);
      return rows[0]?.["attempts"] === 1;
    });
    // As if the wait were over.
    await node.sql("UPDATE outbox SET next_attempt_at = now()");
    await mails.find(user.email, SIGN_IN);
    await flush();
  });

  test("is sent by whoever comes next when the node crashed that took it", async () => {
    const user = await signUp(node.url);
    mails.refuse(true);
    await logInFrom(user, FIREFOX, "198.51.100.7");
    await eventually("the mail being taken", async () => {
      const rows = await node.sql("SELECT attempts FROM outbox WHERE user_id = $1", [user.userId]);
      return rows[0]?.["attempts"] === 1;
    });
    mails.refuse(false);
    // What a crash leaves behind: taken, never sent, until its next attempt is due.
    await node.sql("UPDATE outbox SET next_attempt_at = now() WHERE user_id = $1", [user.userId]);
    await mails.find(user.email, SIGN_IN);
    expect(signInsTo(user.email)).toBe(1);
  });

  test("goes out for a login that committed, and only for such", async () => {
    const user = await signUp(node.url);
    await node.sql("UPDATE users SET status = 'DEACTIVATED' WHERE id = $1", [user.userId]);
    await expect(logInFrom(user, FIREFOX, "198.51.100.7")).rejects.toThrow("InvalidCredentialsError");
    expect(await node.sql("SELECT FROM outbox WHERE user_id = $1", [user.userId])).toEqual([]);
  });
});

describe.each(DATABASES)("a sign-up that tells nothing, on the %s database", (kind) => {
  let node: TestNode;
  let mails: MailServer;
  const password = "a fine password";
  beforeAll(async () => {
    mails = await startMailServer();
    node = await startTestNode(kind, { settings: { ...mails.settings, SIGN_UP_DISCLOSES: "false" } });
  });
  afterAll(async () => {
    await node.stop();
    await mails.stop();
  });
  const signUpWith = async (email: string) =>
    createTestClient(node.url).run(SignUpDocument, {
      input: { email, name: "Ann", password, passwordConfirmation: password },
    });
  const confirm = (token: string, chosen = password) =>
    createTestClient(node.url).run(ConfirmSignUpDocument, { input: { token, password: chosen } });
  const CONFIRM = "Confirm your email";

  test("answers the same for a new email and for one that is taken; the mail says the rest", async () => {
    const email = `${randomUUID()}@example.com`;
    const first = await signUpWith(email);
    expect(first.data?.signUp).toEqual({ __typename: "SignUpRequested", email });
    expect(cookieSetBy(first)).toBeUndefined();
    const token = tokenIn(await mails.find(email, CONFIRM));
    const confirmed = await confirm(token);
    expect(confirmed.data?.confirmSignUp).toMatchObject({ __typename: "LoginSuccess", user: { email } });
    expect(cookieSetBy(confirmed)).toMatch(/^lls_/);

    expect((await signUpWith(email)).data).toEqual(first.data);
    const mail = await mails.find(email, "You have an account already");
    expect(mail.text).toContain("http://login.example/forgot-password");
  });

  test("makes no account before the email is confirmed, so that logging in tells nothing either", async () => {
    const email = `${randomUUID()}@example.com`;
    await signUpWith(email);
    await mails.find(email, CONFIRM);
    const { data } = await createTestClient(node.url).run(LoginDocument, { input: { email, password } });
    expect(data?.login.__typename).toBe("InvalidCredentialsError");
  });

  test("cannot be confirmed by a link alone: whoever chose the password is not whoever has the mailbox", async () => {
    const email = `${randomUUID()}@example.com`;
    await signUpWith(email);
    const token = tokenIn(await mails.find(email, CONFIRM));
    expect((await confirm(token, "another password")).data?.confirmSignUp.__typename).toBe(
      "InvalidCredentialsError",
    );
    expect((await confirm(token)).data?.confirmSignUp.__typename).toBe("LoginSuccess");
    expect((await confirm(token)).data?.confirmSignUp.__typename).toBe("InvalidTokenError");
  });

  test("still names what is wrong with the input", async () => {
    expect((await signUpWith("not an email")).data?.signUp.__typename).toBe("ValidationError");
  });
});

describe("without SMTP_URL", () => {
  test("mails are files that only their owner reads, and their links are logged", async () => {
    const database = await createTestDatabase("embedded");
    const node = await startTestNode("embedded", { on: database });
    try {
      const user = await signUp(node.url);
      await createTestClient(node.url).run(RequestPasswordResetDocument, { email: user.email });
      const folder = join(database.settings["DATA_DIR"] ?? "", "mail");
      const files = () => readdir(folder).catch(() => []);
      await eventually("a mail in the folder", async () => (await files()).length === 1);
      const [name = ""] = await files();
      const path = join(folder, name);
      expect((await stat(path)).mode & 0o077).toBe(0);
      await eventually("the whole mail", async () => (await readFile(path, "utf8")).includes("</html>"));
      const mail = await PostalMime.parse(await readFile(path));
      expect([mail.subject, mail.to?.[0]?.address]).toEqual([RESET, user.email]);
      const link = `${node.url}/reset-password#token=${tokenIn(mail)}`;
      expect(node.logged.some((line) => line.includes(link))).toBe(true);
    } finally {
      await node.stop();
      await database.remove();
    }
  });

  test("no link is logged in production, where it is a secret", async () => {
    const settings = { NODE_ENV: "production", PUBLIC_URL: "https://login.example" };
    const node = await startTestNode("postgres", { settings });
    try {
      const user = await signUp(node.url);
      await createTestClient(node.url).run(RequestPasswordResetDocument, { email: user.email });
      await eventually("the mail in the log", () => node.logged.some((line) => line.includes(RESET)));
      expect(node.logged.join("")).not.toContain("llr_");
    } finally {
      await node.stop();
    }
  });
});
