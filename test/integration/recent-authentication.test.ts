import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  ChangeUserRoleDocument,
  ReauthenticateDocument,
  RevokeAllSessionsDocument,
  RevokeSessionDocument,
  SetUserStatusDocument,
  ViewerDocument,
} from "../../src/client/generated/graphql.ts";
import {
  cookieSetBy,
  createTestClient,
  logIn,
  logInByCookie,
  settle,
  signUp,
  type TestClient,
  withCookie,
  withToken,
} from "../kit/client.ts";
import { DATABASES } from "../kit/databases.ts";
import { ADMIN, startTestNode, type TestNode } from "../kit/node.ts";
import { openRawWebSocket } from "../kit/raw-websocket.ts";
import { subscribeByWebSocket } from "../kit/subscriber.ts";

const REVOKE_SESSIONS = "mutation($userId: ID!) { revokeSessions(filter: {userId: $userId}) { __typename } }";

describe.each(DATABASES)("recent authentication on the %s database", (kind) => {
  let node: TestNode;
  beforeAll(async () => {
    node = await startTestNode(kind);
  });
  afterAll(() => node.stop());

  /** As if the user had proved their password a quarter of an hour ago and a bit. */
  async function age(sessionId: string): Promise<void> {
    await node.sql(
      "UPDATE sessions SET authenticated_at = authenticated_at - interval '901 seconds' WHERE id = $1",
      [sessionId],
    );
    await settle(node.url);
  }
  const outcome = async (answer: ReturnType<TestClient["run"]>) => {
    const { data, errors } = await answer;
    const [result] = Object.values((data ?? {}) as Record<string, { __typename?: string }>);
    const { code, reason } = errors[0]?.extensions ?? {};
    return result?.__typename ?? [code, reason];
  };
  async function runByWebSocket(headers: Record<string, string>, query: string): Promise<unknown> {
    const client = await openRawWebSocket(node.url, { headers });
    client.send({ type: "connection_init" });
    await client.next("connection_ack");
    client.send({ id: "1", type: "subscribe", payload: { query } });
    const received = await client.next("next");
    client.socket.destroy();
    return received.kind === "message" ? received.message["payload"] : received;
  }
  const NEEDED = ["FORBIDDEN", "REAUTHENTICATE"];

  test("is what changing users and bulk revocation need, and reauthenticate gives it for 15 minutes", async () => {
    const admin = await logIn(node.url, ADMIN);
    const { userId } = await signUp(node.url);
    await age(admin.sessionId);
    const sensitive = (client: TestClient) => [
      () => outcome(client.run(ChangeUserRoleDocument, { userId, role: "SUPPORT" })),
      () => outcome(client.run(SetUserStatusDocument, { userId, status: "DEACTIVATED" })),
      () => outcome(client.run(REVOKE_SESSIONS, { userId })),
    ];
    for (const action of sensitive(admin)) expect(await action()).toEqual(NEEDED);
    const before = Date.now();
    const { data } = await admin.run(ReauthenticateDocument, { password: ADMIN.password });
    if (data?.reauthenticate.__typename !== "ReauthenticateSuccess") throw new Error(JSON.stringify(data));
    const minutes = (Date.parse(data.reauthenticate.validUntil) - before) / 60_000;
    expect(Math.abs(minutes - 15)).toBeLessThan(0.5);
    const again = withToken(node.url, data.reauthenticate.token ?? "");
    for (const action of sensitive(again)) expect(await action()).toMatch(/Success$/);
  });

  test("is not needed to count what bulk revocation would end", async () => {
    const admin = await logIn(node.url, ADMIN);
    await age(admin.sessionId);
    const count = "mutation { revokeSessions(filter: {}, dryRun: true) { __typename } }";
    expect(await outcome(admin.run(count))).toBe("RevokeAllSessionsSuccess");
  });

  test("is what ending other sessions of one's own needs, and ending everything never does", async () => {
    const user = await signUp(node.url);
    const other = await logIn(node.url, user);
    await age(user.sessionId);
    expect(await outcome(user.run(RevokeSessionDocument, { id: other.sessionId }))).toEqual(NEEDED);
    expect(await outcome(user.run(RevokeAllSessionsDocument, { exceptCurrent: true }))).toEqual(NEEDED);
    expect(await outcome(other.run(ViewerDocument))).not.toEqual(NEEDED);
    expect(await outcome(user.run(RevokeAllSessionsDocument, {}))).toBe("RevokeAllSessionsSuccess");
    expect((await other.run(ViewerDocument)).errors[0]?.extensions?.["reason"]).toBe("REVOKED_BY_USER");
  });

  test("is not needed to end the session that asks", async () => {
    const user = await signUp(node.url);
    await age(user.sessionId);
    expect(await outcome(user.run(RevokeSessionDocument, { id: user.sessionId }))).toBe(
      "RevokeSessionSuccess",
    );
  });

  test("tells nobody whether a session of somebody else exists", async () => {
    const [user, stranger] = [await signUp(node.url), await signUp(node.url)];
    await age(user.sessionId);
    expect(await outcome(user.run(RevokeSessionDocument, { id: stranger.sessionId }))).toBe("NotFoundError");
  });

  test("is given by a fresh login", async () => {
    const user = await signUp(node.url);
    await age(user.sessionId);
    const fresh = await logIn(node.url, user);
    expect(await outcome(fresh.run(RevokeSessionDocument, { id: user.sessionId }))).toBe(
      "RevokeSessionSuccess",
    );
  });

  test("with a wrong password is refused, and changes nothing", async () => {
    const user = await signUp(node.url);
    const { data } = await user.run(ReauthenticateDocument, { password: "not the password" });
    expect(data?.reauthenticate.__typename).toBe("InvalidCredentialsError");
    expect((await user.run(ViewerDocument)).data?.viewer?.id).toBe(user.userId);
  });

  describe("rotates the token", () => {
    const viewer = async (client: TestClient) => {
      const { data, errors, headers } = await client.run(ViewerDocument);
      return {
        id: data?.viewer?.id,
        code: errors[0]?.extensions?.["code"],
        cookie: cookieSetBy({ headers }),
      };
    };

    test("of a cookie: the same session goes on with its socket, and keeps being remembered or not", async () => {
      const user = await signUp(node.url);
      const browser = await logInByCookie(node.url, user);
      const subscriber = await subscribeByWebSocket(node.url, browser.token);
      const answer = await browser.run(ReauthenticateDocument, { password: user.password });
      expect(answer.data?.reauthenticate).toMatchObject({ __typename: "ReauthenticateSuccess", token: null });
      expect(answer.headers.getSetCookie()[0]).not.toContain("Max-Age");
      const rotated = withCookie(node.url, cookieSetBy(answer) ?? "");
      const { data } = await rotated.run<{ currentSession: { id: string } }, unknown>(
        "{ currentSession { id } }",
      );
      expect(data?.currentSession.id).toBe(browser.sessionId);
      expect(subscriber.history).toEqual(["connecting", "connected"]);
      subscriber.stop();
    });

    test("without logging out a request that was under way with the old one: it is to be sent again", async () => {
      const user = await signUp(node.url);
      const browser = await logInByCookie(node.url, user);
      await browser.run(ReauthenticateDocument, { password: user.password });
      // The cookie stays: by now it is the new one.
      expect(await viewer(browser)).toEqual({ id: undefined, code: "TOKEN_ROTATED", cookie: undefined });
      const late = await openRawWebSocket(node.url, { headers: { cookie: `session=${browser.token}` } });
      late.send({ type: "connection_init" });
      expect(await late.next("close")).toMatchObject({ code: 1013 });
      late.socket.destroy();
    });

    test("without ending requests that the same client runs at the same moment", async () => {
      const user = await signUp(node.url);
      const browser = await logInByCookie(node.url, user);
      const [answer, ...others] = await Promise.all([
        browser.run(ReauthenticateDocument, { password: user.password }),
        ...Array.from({ length: 20 }, () => viewer(browser)),
      ]);
      expect(answer.data?.reauthenticate.__typename).toBe("ReauthenticateSuccess");
      for (const { id, code, cookie } of others) {
        expect([id ?? code, cookie]).toEqual([id ? user.userId : "TOKEN_ROTATED", undefined]);
      }
    });

    test("once and for all: after a minute the old one is as good as none", async () => {
      const user = await signUp(node.url);
      const browser = await logInByCookie(node.url, user);
      await browser.run(ReauthenticateDocument, { password: user.password });
      await node.sql(
        "UPDATE sessions SET token_rotated_at = token_rotated_at - interval '61 s' WHERE id = $1",
        [browser.sessionId],
      );
      expect(await viewer(browser)).toEqual({ id: undefined, code: undefined, cookie: "" });
      expect((await viewer(withToken(node.url, browser.token))).id).toBeUndefined();
    });

    test("over HTTP only where it came by cookie: a WebSocket cannot set one", async () => {
      const user = await signUp(node.url);
      const { token } = await logInByCookie(node.url, user);
      const query = `mutation { reauthenticate(password: "${user.password}") { __typename } }`;
      const byCookie = await runByWebSocket({ cookie: `session=${token}` }, query);
      expect(byCookie).toMatchObject({ errors: [{ extensions: { code: "BAD_REQUEST" } }] });
      const byBearer = await runByWebSocket({ authorization: `Bearer ${user.token}` }, query);
      expect(byBearer).toMatchObject({ data: { reauthenticate: { __typename: "ReauthenticateSuccess" } } });
    });
  });
});

test("a setting lets people end others of their own sessions without it", async () => {
  const node = await startTestNode("postgres", {
    settings: { REVOKING_NEEDS_RECENT_AUTHENTICATION: "false" },
  });
  try {
    const user = await signUp(node.url);
    const other = await logIn(node.url, user);
    await node.sql("UPDATE sessions SET authenticated_at = now() - interval '1 day'");
    await settle(node.url);
    const { data } = await user.run(RevokeSessionDocument, { id: other.sessionId });
    expect(data?.revokeSession.__typename).toBe("RevokeSessionSuccess");
    const anonymous = await createTestClient(node.url).run(ReauthenticateDocument, { password: "x" });
    expect(anonymous.errors[0]?.extensions?.["code"]).toBe("UNAUTHENTICATED");
  } finally {
    await node.stop();
  }
});
