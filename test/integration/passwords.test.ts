import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  ChangePasswordDocument,
  type ChangePasswordInput,
  LoginDocument,
  RequestPasswordResetDocument,
  ResetPasswordDocument,
  ViewerDocument,
} from "../../src/client/generated/graphql.ts";
import {
  cookieSetBy,
  createTestClient,
  logIn,
  logInByCookie,
  signUp,
  type TestClient,
  withCookie,
  withToken,
} from "../kit/client.ts";
import { DATABASES } from "../kit/databases.ts";
import { eventually, within } from "../kit/deadline.ts";
import { type MailServer, startMailServer, tokenIn } from "../kit/mail-server.ts";
import { startTestNode, type TestNode } from "../kit/node.ts";
import { subscribeByWebSocket } from "../kit/subscriber.ts";

const NEW_PASSWORD = "a new one, much better";
const RESET = "Choose a new password";

describe.each(DATABASES)("passwords on the %s database", (kind) => {
  let node: TestNode;
  let mails: MailServer;
  beforeAll(async () => {
    mails = await startMailServer();
    node = await startTestNode(kind, { settings: mails.settings });
  });
  afterAll(async () => {
    await node.stop();
    await mails.stop();
  });

  const change = (client: TestClient, currentPassword: string, more: Partial<ChangePasswordInput> = {}) =>
    client.run(ChangePasswordDocument, { input: { currentPassword, newPassword: NEW_PASSWORD, ...more } });
  const viewer = async (client: TestClient) => {
    const { data, errors } = await client.run(ViewerDocument);
    return data?.viewer?.id ?? errors[0]?.extensions?.["reason"] ?? errors[0]?.extensions?.["code"] ?? null;
  };
  const logInWith = async (email: string, password: string) => {
    const input = { email, password, returnToken: true };
    return (await createTestClient(node.url).run(LoginDocument, { input })).data?.login.__typename;
  };
  const reset = async (token: string, newPassword = NEW_PASSWORD) =>
    (await createTestClient(node.url).run(ResetPasswordDocument, { input: { token, newPassword } })).data
      ?.resetPassword;
  const requestReset = async (email: string) =>
    (await createTestClient(node.url).run(RequestPasswordResetDocument, { email })).data
      ?.requestPasswordReset;
  const resetsTo = (email: string) => mails.to(email).filter((mail) => mail.subject === RESET).length;
  const resetLink = async (email: string) => {
    await requestReset(email);
    return tokenIn(await mails.find(email, RESET));
  };

  describe("changing the password", () => {
    test("P4: ends the user's other sessions with PASSWORD_CHANGED and keeps the one that asks, with its socket", async () => {
      const user = await signUp(node.url);
      const other = await logIn(node.url, user);
      const [own, others] = [
        await subscribeByWebSocket(node.url, user.token),
        await subscribeByWebSocket(node.url, other.token),
      ];
      const { data } = await change(user, user.password);
      expect(data?.changePassword).toMatchObject({ __typename: "ChangePasswordSuccess", revokedCount: 1 });
      expect(await within(5_000, "the close", others.closed)).toEqual({
        code: 4401,
        reason: "Session revoked: PASSWORD_CHANGED",
      });
      expect(await viewer(other)).toBe("PASSWORD_CHANGED");
      expect(await viewer(user)).toBe(user.userId);
      expect(own.history).toEqual(["connecting", "connected"]);
      own.stop();
      expect(await logInWith(user.email, user.password)).toBe("InvalidCredentialsError");
      expect(await logInWith(user.email, NEW_PASSWORD)).toBe("LoginSuccess");
    });

    test("with resetSessions: false keeps all sessions, on the new credentials", async () => {
      const user = await signUp(node.url);
      const other = await logIn(node.url, user);
      const { data } = await change(user, user.password, { resetSessions: false });
      expect(data?.changePassword).toMatchObject({ revokedCount: 0 });
      expect([await viewer(user), await viewer(other)]).toEqual([user.userId, user.userId]);
      const rows = await node.sql(
        `SELECT DISTINCT sessions.credential_version = users.credential_version AS is_current
         FROM sessions JOIN users ON users.id = user_id WHERE user_id = $1`,
        [user.userId],
      );
      expect(rows).toEqual([{ is_current: true }]);
    });

    test("gives a cookie's session a new token at once; the old one is dead, and the socket stays", async () => {
      const user = await signUp(node.url);
      const browser = await logInByCookie(node.url, user);
      const subscriber = await subscribeByWebSocket(node.url, browser.token);
      const answer = await change(browser, user.password);
      const token = cookieSetBy(answer);
      expect(token).toMatch(/^lls_/);
      expect(token).not.toBe(browser.token);
      expect(await viewer(withCookie(node.url, token ?? ""))).toBe(user.userId);
      expect(await viewer(browser)).not.toBe(user.userId);
      expect(subscriber.history).toEqual(["connecting", "connected"]);
      subscriber.stop();
    });

    test("leaves a bearer token alone unless returnToken asks for a new one", async () => {
      const user = await signUp(node.url);
      const first = await change(user, user.password);
      expect(first.data?.changePassword).toMatchObject({ token: null });
      expect(await viewer(user)).toBe(user.userId);
      const second = await change(user, NEW_PASSWORD, { newPassword: "and another", returnToken: true });
      const result = second.data?.changePassword;
      if (result?.__typename !== "ChangePasswordSuccess" || !result.token) throw new Error("no token");
      expect(await viewer(withToken(node.url, result.token))).toBe(user.userId);
      expect(await viewer(user)).not.toBe(user.userId);
    });

    test("is refused with a wrong current password, and nobody is logged out", async () => {
      const user = await signUp(node.url);
      const { data } = await change(user, "not the password");
      expect(data?.changePassword.__typename).toBe("InvalidCredentialsError");
      expect(await viewer(user)).toBe(user.userId);
      expect(await logInWith(user.email, user.password)).toBe("LoginSuccess");
    });

    test("counts wrong current passwords: after a few the next try has to wait, and the session lives on", async () => {
      const user = await signUp(node.url);
      const outcomes: unknown[] = [];
      for (let tries = 0; tries < 8; tries++) {
        outcomes.push((await change(user, "not the password")).data?.changePassword.__typename);
      }
      expect(outcomes.slice(0, 5)).toEqual(Array(5).fill("InvalidCredentialsError"));
      expect(outcomes.slice(6)).toContain("TooManyAttemptsError");
      expect(await viewer(user)).toBe(user.userId);
      expect(await logInWith(user.email, user.password)).not.toBe("InvalidCredentialsError");
    });

    test("is refused with a new password that is too short, naming the field", async () => {
      const user = await signUp(node.url);
      const { data } = await change(user, user.password, { newPassword: "short" });
      expect(data?.changePassword).toMatchObject({
        __typename: "ValidationError",
        issues: [{ path: "input.newPassword" }],
      });
    });

    test("does not give a browser the token where scripts can read it", async () => {
      const user = await signUp(node.url);
      const { token } = await logInByCookie(node.url, user);
      const browser = createTestClient(node.url, {
        cookie: `session=${token}`,
        origin: "http://login.example",
      });
      const { data } = await change(browser, user.password, { returnToken: true });
      expect(data?.changePassword).toMatchObject({ issues: [{ path: "input.returnToken" }] });
    });

    test("of two changes at the same moment one wins, and the other is told that its password is wrong", async () => {
      const user = await signUp(node.url);
      const passwords = ["first new password", "second new password"];
      const outcomes = await Promise.all(
        passwords.map((newPassword) => change(user, user.password, { newPassword, resetSessions: false })),
      );
      const names = outcomes.map(({ data }) => data?.changePassword.__typename);
      expect(names.toSorted()).toEqual(["ChangePasswordSuccess", "InvalidCredentialsError"]);
      const winner = passwords[names.indexOf("ChangePasswordSuccess")] ?? "";
      expect(await logInWith(user.email, winner)).toBe("LoginSuccess");
    });

    test("tells the user by mail", async () => {
      const user = await signUp(node.url);
      await change(user, user.password);
      const mail = await mails.find(user.email, "Your password was changed");
      expect(mail.text).toContain("127.0.0.1");
      expect(mail.text).toContain("http://login.example/forgot-password");
    });
  });

  describe("resetting the password", () => {
    test("by the mailed link sets it and ends all sessions with PASSWORD_RESET", async () => {
      const user = await signUp(node.url);
      const subscriber = await subscribeByWebSocket(node.url, user.token);
      const result = await reset(await resetLink(user.email));
      expect(result).toMatchObject({ __typename: "ResetPasswordSuccess", revokedCount: 1 });
      expect((await within(5_000, "the close", subscriber.closed)).reason).toBe(
        "Session revoked: PASSWORD_RESET",
      );
      expect(await viewer(user)).toBe("PASSWORD_RESET");
      expect(await logInWith(user.email, NEW_PASSWORD)).toBe("LoginSuccess");
    });

    test("mails a link to PUBLIC_URL whatever the Host header says, good for 30 minutes and stored hashed", async () => {
      const user = await signUp(node.url);
      const token = await resetLink(user.email);
      const mail = await mails.find(user.email, RESET);
      expect(mail.text).toContain(`http://login.example/reset-password#token=${token}`);
      expect(mail.from?.address).toBe("no-reply@login.example");
      const rows = await node.sql(
        `SELECT token_hash, round(extract(epoch FROM expires_at - now()) / 60)::int AS minutes
         FROM password_resets WHERE user_id = $1`,
        [user.userId],
      );
      expect(rows).toEqual([{ token_hash: expect.stringMatching(/^[0-9a-f]{64}$/), minutes: 30 }]);
      expect(JSON.stringify(await node.sql("SELECT * FROM outbox"))).not.toContain("llr_");
    });

    test("answers true for an email that is nobody's, or no email at all, and writes no mail", async () => {
      expect(await requestReset("nobody@example.com")).toBe(true);
      expect(await requestReset("not an email")).toBe(true);
      expect(await requestReset("x".repeat(100_000))).toBe(true);
      // A later request of somebody else was answered, so the earlier ones were dealt with.
      await resetLink((await signUp(node.url)).email);
      expect(mails.to("nobody@example.com")).toEqual([]);
      expect(await node.sql("SELECT * FROM outbox WHERE details->>'email' = 'nobody@example.com'")).toEqual(
        [],
      );
    });

    test("does not mail a deactivated user", async () => {
      const user = await signUp(node.url);
      await node.sql("UPDATE users SET status = 'DEACTIVATED' WHERE id = $1", [user.userId]);
      expect(await requestReset(user.email)).toBe(true);
      await resetLink((await signUp(node.url)).email);
      expect(mails.to(user.email).map((mail) => mail.subject)).not.toContain(RESET);
    });

    test("works once, also when it is tried twice at the same moment", async () => {
      const user = await signUp(node.url);
      const token = await resetLink(user.email);
      const results = await Promise.all([
        reset(token, "the first of two"),
        reset(token, "the second of two"),
      ]);
      expect(results.map((result) => result?.__typename).toSorted()).toEqual([
        "InvalidTokenError",
        "ResetPasswordSuccess",
      ]);
      expect((await reset(token))?.__typename).toBe("InvalidTokenError");
    });

    test("by a link that a newer one replaced is refused", async () => {
      const user = await signUp(node.url);
      const older = await resetLink(user.email);
      await requestReset(user.email);
      await eventually("the second mail", () => resetsTo(user.email) === 2);
      const newer = tokenIn(await mails.find(user.email, RESET));
      expect(newer).not.toBe(older);
      expect((await reset(older))?.__typename).toBe("InvalidTokenError");
      expect((await reset(newer))?.__typename).toBe("ResetPasswordSuccess");
    });

    test("by a link from before a password change is refused, whoever made the change", async () => {
      const user = await signUp(node.url);
      const token = await resetLink(user.email);
      await node.sql("UPDATE users SET password_hash = password_hash || 'x' WHERE id = $1", [user.userId]);
      expect((await reset(token))?.__typename).toBe("InvalidTokenError");
    });

    test("by a link that is too old is refused", async () => {
      const user = await signUp(node.url);
      const token = await resetLink(user.email);
      await node.sql("UPDATE password_resets SET expires_at = now() - interval '1 s' WHERE user_id = $1", [
        user.userId,
      ]);
      expect((await reset(token))?.__typename).toBe("InvalidTokenError");
    });

    test.each(["", " ", "llr_", `llr_${"0".repeat(49)}`, "\0", "x".repeat(1_000)])(
      "by %o, which is no link, is refused without a query",
      async (token) => {
        expect((await reset(token))?.__typename).toBe("InvalidTokenError");
      },
    );

    test("by a session token is refused, and a link's token logs nobody in", async () => {
      const user = await signUp(node.url);
      expect((await reset(user.token))?.__typename).toBe("InvalidTokenError");
      expect(await viewer(withToken(node.url, await resetLink(user.email)))).toBe(null);
    });

    test("with a password that is too short leaves the link good", async () => {
      const token = await resetLink((await signUp(node.url)).email);
      expect((await reset(token, "short"))?.__typename).toBe("ValidationError");
      expect((await reset(token))?.__typename).toBe("ResetPasswordSuccess");
    });

    test("is answered to whoever is logged in to that very account", async () => {
      const user = await signUp(node.url);
      const token = await resetLink(user.email);
      const { data } = await user.run(ResetPasswordDocument, { input: { token, newPassword: NEW_PASSWORD } });
      expect(data?.resetPassword.__typename).toBe("ResetPasswordSuccess");
    });

    test("mails a handful an hour to one account, and says nothing of the others", async () => {
      const user = await signUp(node.url);
      for (let count = 0; count < 8; count++) expect(await requestReset(user.email)).toBe(true);
      await eventually("five mails", () => resetsTo(user.email) >= 5);
      await resetLink((await signUp(node.url)).email);
      expect(resetsTo(user.email)).toBe(5);
    });
  });
});
