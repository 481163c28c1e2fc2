import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  LogoutDocument,
  ReauthenticateDocument,
  RequestPasswordResetDocument,
  ResetPasswordDocument,
  RevokeSessionDocument,
  ViewerDocument,
} from "../../src/client/generated/graphql.ts";
import {
  createTestClient,
  logIn,
  logInByCookie,
  signUp,
  type TestUser,
  withCookie,
  withToken,
} from "../kit/client.ts";
import { createTestDatabase, type TestDatabase } from "../kit/databases.ts";
import { type MailServer, startMailServer, tokenIn } from "../kit/mail-server.ts";
import { startTestNode, type TestNode } from "../kit/node.ts";
import { openRawWebSocket } from "../kit/raw-websocket.ts";

type Session = { readonly token: string; readonly sessionId: string };

/** Everything that ends the use of a token, by what it does to the victim's session. */
const ENDS: Record<
  string,
  (world: { node: TestNode; mails: MailServer; user: TestUser; session: Session }) => Promise<unknown>
> = {
  logout: ({ node, session }) => withToken(node.url, session.token).run(LogoutDocument),
  "revocation from another session": ({ user, session }) =>
    user.run(RevokeSessionDocument, { id: session.sessionId }),
  "a password reset": async ({ node, mails, user }) => {
    await createTestClient(node.url).run(RequestPasswordResetDocument, { email: user.email });
    const token = tokenIn(await mails.find(user.email, "Choose a new password"));
    await createTestClient(node.url).run(ResetPasswordDocument, {
      input: { token, newPassword: "a new password" },
    });
  },
  expiry: async ({ node, session }) => {
    await node.sql("UPDATE sessions SET expires_at = now() WHERE id = $1", [session.sessionId]);
    await node.sql("UPDATE sessions SET revoked_at = now(), revocation_reason = 'EXPIRED' WHERE id = $1", [
      session.sessionId,
    ]);
  },
  "the deletion of its user": ({ node, user }) => node.sql("DELETE FROM users WHERE id = $1", [user.userId]),
  "the rotation of its token": ({ node, user, session }) =>
    withToken(node.url, session.token).run(ReauthenticateDocument, { password: user.password }),
};

describe("a thief who kept a token", () => {
  let nodes: readonly TestNode[];
  let mails: MailServer;
  let database: TestDatabase;
  beforeAll(async () => {
    mails = await startMailServer();
    database = await createTestDatabase("postgres");
    const options = { on: database, settings: mails.settings };
    nodes = [await startTestNode("postgres", options), await startTestNode("postgres", options)];
  });
  afterAll(async () => {
    for (const node of nodes) await node.stop();
    await database.remove();
    await mails.stop();
  });

  async function overHttp(url: string, headers: Record<string, string>): Promise<string> {
    const { data, errors } = await createTestClient(url, headers).run(ViewerDocument);
    return data?.viewer ? "let in" : errors.length > 0 || data?.viewer === null ? "refused" : "strange";
  }
  async function overSse(url: string, headers: Record<string, string>): Promise<string> {
    const response = await fetch(`${url}/graphql`, {
      method: "POST",
      headers: { ...headers, "content-type": "application/json", accept: "text/event-stream" },
      body: JSON.stringify({ query: "subscription { sessionRevoked { sessionId } }" }),
      signal: AbortSignal.timeout(5_000),
    });
    return /UNAUTHENTICATED|TOKEN_ROTATED/.test(await response.text()) ? "refused" : "let in";
  }
  async function overWebSocket(url: string, headers: Record<string, string>): Promise<string> {
    const client = await openRawWebSocket(url, { headers });
    client.send({ type: "connection_init" });
    const answer = await Promise.race([client.next("close"), client.next("connection_ack")]);
    client.socket.destroy();
    return answer.kind === "close" ? "refused" : "let in";
  }

  test.each(Object.keys(ENDS))(
    "replays it after %s: refused on every node, transport and in either form",
    async (end) => {
      const [node, other] = nodes;
      if (!node || !other) throw new Error("no nodes");
      const user = await signUp(node.url);
      const byCookie = await logInByCookie(node.url, user);
      const byBearer = await logIn(node.url, user);
      // Both nodes have both sessions in memory when they end.
      for (const { url } of nodes) {
        expect(await overHttp(url, { cookie: `session=${byCookie.token}` })).toBe("let in");
        expect(await overHttp(url, { authorization: `Bearer ${byBearer.token}` })).toBe("let in");
      }
      await ENDS[end]?.({ node, mails, user, session: byCookie });
      const isForAll = end === "a password reset" || end === "the deletion of its user";
      if (!isForAll) await ENDS[end]?.({ node, mails, user, session: byBearer });
      // The other node hears it within milliseconds: it has once it answers a mutation that comes after.
      for (const { url } of nodes) await (await signUp(url)).run(LogoutDocument);
      for (const { url } of nodes) {
        for (const headers of [
          { cookie: `session=${byCookie.token}` },
          { authorization: `Bearer ${byBearer.token}` },
          // A cookie's token as a bearer token, and the other way round.
          { authorization: `Bearer ${byCookie.token}` },
          { cookie: `session=${byBearer.token}` },
        ]) {
          const outcomes = [
            await overHttp(url, headers),
            await overSse(url, headers),
            await overWebSocket(url, headers),
          ];
          expect(outcomes).toEqual(["refused", "refused", "refused"]);
        }
      }
    },
  );

  test("fixes a session before its user logs in: the token that comes of it is another, and the planted one is dead", async () => {
    const [node] = nodes;
    if (!node) throw new Error("no node");
    const user = await signUp(node.url);
    const planted = await logInByCookie(node.url, user);
    const query = `mutation { login(input: {email: "${user.email}", password: "${user.password}"}) { __typename } }`;
    const answer = await withCookie(node.url, planted.token).run(query);
    expect(answer.headers.getSetCookie()[0]).toMatch(/^session=lls_/);
    expect(answer.headers.getSetCookie()[0]).not.toContain(planted.token);
    expect(await overHttp(node.url, { cookie: `session=${planted.token}` })).toBe("refused");
  });
});
