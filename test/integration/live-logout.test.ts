import pg from "pg";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import {
  ChangeUserRoleDocument,
  LogoutDocument,
  type RevocationReason,
  RevokeAllSessionsDocument,
  RevokeSessionDocument,
  SetUserStatusDocument,
  ViewerDocument,
} from "../../src/client/generated/graphql.ts";
import type { Directory } from "../../src/revocation/directory.ts";
import { logIn, signUp, type TestUser, withToken } from "../kit/client.ts";
import { createTestDatabase, DATABASES } from "../kit/databases.ts";
import { eventually, within } from "../kit/deadline.ts";
import { ADMIN, startTestNode, type TestNode } from "../kit/node.ts";
import { openRawWebSocket } from "../kit/raw-websocket.ts";
import { recordStatements } from "../kit/statements.ts";
import { subscribeBySse, subscribeByWebSocket } from "../kit/subscriber.ts";

/** A way in which the second of a user's two sessions ends, and the reason that everybody is to be told. */
interface Ending {
  readonly name: string;
  readonly reason: RevocationReason;
  /** Whether the first session, from which the second is ended, lives on. */
  readonly sparesFirst: boolean;
  readonly end: (node: TestNode, first: TestUser, second: TestUser) => Promise<unknown>;
}

async function succeed<Data>(answer: Promise<{ data: Data | null | undefined; errors: readonly unknown[] }>) {
  const { data, errors } = await answer;
  expect(errors).toEqual([]);
  expect(JSON.stringify(data)).toMatch(/"__typename":"\w+Success"/);
}

const ENDINGS: readonly Ending[] = [
  {
    name: "revokeSession by its owner",
    reason: "REVOKED_BY_USER",
    sparesFirst: true,
    end: (_node, first, second) => succeed(first.run(RevokeSessionDocument, { id: second.sessionId })),
  },
  {
    name: "revokeAllSessions by its owner, but the current one",
    reason: "REVOKED_BY_USER",
    sparesFirst: true,
    end: (_node, first) => succeed(first.run(RevokeAllSessionsDocument, { exceptCurrent: true })),
  },
  {
    name: "revokeAllSessions by its owner",
    reason: "REVOKED_BY_USER",
    sparesFirst: false,
    end: (_node, first) => succeed(first.run(RevokeAllSessionsDocument, {})),
  },
  {
    name: "revokeSession by an administrator",
    reason: "REVOKED_BY_ADMIN",
    sparesFirst: true,
    end: async (node, _first, second) =>
      succeed((await logIn(node.url, ADMIN)).run(RevokeSessionDocument, { id: second.sessionId })),
  },
  {
    name: "revokeAllSessions by an administrator",
    reason: "REVOKED_BY_ADMIN",
    sparesFirst: false,
    end: async (node, first) =>
      succeed((await logIn(node.url, ADMIN)).run(RevokeAllSessionsDocument, { userId: first.userId })),
  },
  {
    name: "changeUserRole",
    reason: "ROLE_CHANGED",
    sparesFirst: false,
    end: async (node, first) =>
      succeed(
        (await logIn(node.url, ADMIN)).run(ChangeUserRoleDocument, { userId: first.userId, role: "SUPPORT" }),
      ),
  },
  {
    name: "setUserStatus",
    reason: "USER_DEACTIVATED",
    sparesFirst: false,
    end: async (node, first) =>
      succeed(
        (await logIn(node.url, ADMIN)).run(SetUserStatusDocument, {
          userId: first.userId,
          status: "DEACTIVATED",
        }),
      ),
  },
  {
    name: "a plain SQL UPDATE of the user's role",
    reason: "ROLE_CHANGED",
    sparesFirst: false,
    end: (node, first) => node.sql("UPDATE users SET role = 'SUPPORT' WHERE id = $1", [first.userId]),
  },
  {
    name: "a plain SQL UPDATE of the user's password hash",
    reason: "PASSWORD_CHANGED",
    sparesFirst: false,
    end: (node, first) => node.sql("UPDATE users SET password_hash = '' WHERE id = $1", [first.userId]),
  },
  {
    name: "a plain SQL UPDATE of the session",
    reason: "REVOKED_BY_ADMIN",
    sparesFirst: true,
    end: (node, _first, second) =>
      node.sql("UPDATE sessions SET revoked_at = now() WHERE id = $1", [second.sessionId]),
  },
  {
    name: "a plain SQL UPDATE of the session with a reason that this version does not know",
    reason: "REVOKED_BY_ADMIN",
    sparesFirst: true,
    end: (node, _first, second) =>
      node.sql("UPDATE sessions SET revoked_at = now(), revocation_reason = 'FUTURE' WHERE id = $1", [
        second.sessionId,
      ]),
  },
];

const DELETIONS: readonly Pick<Ending, "name" | "end">[] = [
  {
    name: "a plain SQL DELETE of the session",
    end: (node, _first, second) => node.sql("DELETE FROM sessions WHERE id = $1", [second.sessionId]),
  },
  {
    name: "a plain SQL DELETE of the user",
    end: (node, first) => node.sql("DELETE FROM users WHERE id = $1", [first.userId]),
  },
];

describe.each(DATABASES)("P1: live logout on the %s database", (kind) => {
  let node: TestNode;
  beforeAll(async () => {
    node = await startTestNode(kind);
  });
  afterAll(() => node.stop());

  async function twoSessions() {
    const first = await signUp(node.url);
    return { first, second: await logIn(node.url, first) };
  }

  test.each(ENDINGS)(
    "after $name a WebSocket client is told $reason, completed and closed with it",
    async (ending) => {
      const { first, second } = await twoSessions();
      const subscriber = await subscribeByWebSocket(node.url, second.token);

      await ending.end(node, first, second);

      expect(await subscriber.next()).toMatchObject({
        sessionId: second.sessionId,
        userId: second.userId,
        reason: ending.reason,
        current: true,
      });
      expect(await within(5_000, "complete", subscriber.ended)).toBe("complete");
      expect(await within(5_000, "the close", subscriber.closed)).toEqual({
        code: 4401,
        reason: `Session revoked: ${ending.reason}`,
      });
      expect(subscriber.events).toHaveLength(1);

      const afterwards = await second.run(ViewerDocument);
      expect(afterwards).toMatchObject({
        status: 200,
        data: { viewer: null },
        errors: [{ extensions: { code: "UNAUTHENTICATED", reason: ending.reason } }],
      });
      const other = await first.run(ViewerDocument);
      expect(other.data?.viewer?.id).toBe(ending.sparesFirst ? first.userId : undefined);
    },
  );

  test.each(ENDINGS)(
    "after $name a client of server-sent events is told $reason and the stream ends",
    async (ending) => {
      const { first, second } = await twoSessions();
      const subscriber = await subscribeBySse(node.url, second.token);

      await ending.end(node, first, second);

      expect(await subscriber.next()).toMatchObject({ reason: ending.reason, current: true });
      expect(await within(5_000, "the end of the stream", subscriber.ended)).toBe("complete");
      expect(subscriber.events).toHaveLength(1);
      expect((await second.run(ViewerDocument)).errors).toMatchObject([
        { extensions: { reason: ending.reason } },
      ]);
    },
  );

  test.each(DELETIONS)(
    "after $name its client is told and closed, and the token is nobody's",
    async ({ end }) => {
      const { first, second } = await twoSessions();
      const subscriber = await subscribeByWebSocket(node.url, second.token);

      await end(node, first, second);

      expect(await subscriber.next()).toMatchObject({ reason: "REVOKED_BY_ADMIN", current: true });
      expect((await within(5_000, "the close", subscriber.closed)).code).toBe(4401);
      expect((await second.run(ViewerDocument)).data?.viewer).toBeNull();
    },
  );

  test("with the scope MINE a client hears of each of its user's sessions, its own last", async () => {
    const { first, second } = await twoSessions();
    const stranger = await signUp(node.url);
    const subscriber = await subscribeByWebSocket(node.url, first.token, "MINE");

    await succeed(stranger.run(LogoutDocument));
    await succeed(second.run(LogoutDocument));
    expect(await subscriber.next()).toMatchObject({
      sessionId: second.sessionId,
      reason: "LOGOUT",
      current: false,
    });
    await succeed(first.run(RevokeAllSessionsDocument, {}));
    expect(await subscriber.next()).toMatchObject({ sessionId: first.sessionId, current: true });

    expect(await within(5_000, "complete", subscriber.ended)).toBe("complete");
    expect(subscriber.events).toHaveLength(2);
  });

  test("a logout closes the stock client's one connection, and it does not come back", async () => {
    const user = await signUp(node.url);
    const subscriber = await subscribeByWebSocket(node.url, user.token);

    await succeed(user.run(LogoutDocument));
    await within(5_000, "the close", subscriber.closed);
    await within(5_000, "the end of the subscription", subscriber.ended);

    expect(subscriber.history).toEqual(["connecting", "connected", "closed 4401 Session revoked: LOGOUT"]);
  });

  test("a revoked session that returns over WebSocket fails at once, with its reason", async () => {
    const user = await signUp(node.url);
    await succeed(user.run(LogoutDocument));

    const subscriber = await subscribeByWebSocket(node.url, user.token);

    expect(await within(5_000, "the end of the subscription", subscriber.ended)).toMatchObject({
      error: { code: 4401, reason: "Session revoked: LOGOUT" },
    });
    // The second connection is the kit's own question behind the subscription, not a retry of it.
    expect(subscriber.history.filter((entry) => entry === "connected")).toEqual([]);
  });

  test("an authenticated viewer { id } on a warm node runs no SQL", async () => {
    const { onQuery, take } = recordStatements();
    const counted = await startTestNode(kind, { onQuery });
    try {
      const user = await signUp(counted.url);
      await user.run(ViewerDocument);
      expect(take()).not.toEqual([]);

      for (let request = 0; request < 20; request++) {
        const { data } = await user.run<{ viewer: { id: string } }, unknown>("{ viewer { id } }");
        expect(data?.viewer.id).toBe(user.userId);
      }

      expect(take()).toEqual([]);
    } finally {
      await counted.stop();
    }
  });

  test("whoever revoked a session finds it dead on the same node at once", async () => {
    const { first, second } = await twoSessions();
    await second.run(ViewerDocument);
    await first.run(RevokeSessionDocument, { id: second.sessionId });
    expect((await second.run(ViewerDocument)).data?.viewer).toBeNull();
  });

  test("P7: a node that stops closes sockets with 1012, completes nothing, and logs nobody out", async () => {
    const database = await createTestDatabase(kind);
    onTestFinished(() => database.remove());
    const before = await startTestNode(kind, { on: database });
    const user = await signUp(before.url);
    const subscriber = await subscribeByWebSocket(before.url, user.token);
    let ended: unknown;
    void subscriber.ended.then((how) => {
      ended = how;
    });

    await before.stop();
    expect(await within(5_000, "the close", subscriber.closed)).toMatchObject({ code: 1012 });
    expect(ended).toBeUndefined();
    expect(subscriber.events).toEqual([]);
    subscriber.stop();

    const after = await startTestNode(kind, { on: database });
    onTestFinished(() => after.stop());
    expect((await withToken(after.url, user.token).run(ViewerDocument)).data?.viewer?.id).toBe(user.userId);
  });
});

describe("an operation that still runs when its session ends", () => {
  /** A node on which whatever reads users waits, until the test lets it go on. */
  async function heldNode() {
    const node = await startTestNode("postgres");
    onTestFinished(() => node.stop());
    const holder = new pg.Client({ connectionString: node.databaseSettings["DATABASE_URL"] });
    await holder.connect();
    onTestFinished(() => holder.end());
    const hold = async () => {
      await holder.query("BEGIN");
      await holder.query("LOCK TABLE users IN ACCESS EXCLUSIVE MODE");
    };
    const isHeld = () =>
      eventually("a query waits for the users", async () => {
        const waiting = "SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'users'::regclass";
        return (await holder.query(waiting)).rowCount === 1;
      });
    return { node, hold, isHeld, letGo: () => holder.query("COMMIT") };
  }
  const SLOW = "{ mySessions { id } }";

  test("over HTTP is answered at once with the reason, and its result is never sent", async () => {
    const { node, hold, isHeld, letGo } = await heldNode();
    const user = await signUp(node.url);
    await user.run(ViewerDocument);
    await hold();
    const running = user.run(SLOW);
    await isHeld();
    await node.sql("UPDATE sessions SET revoked_at = now() WHERE id = $1", [user.sessionId]);
    expect(await within(5_000, "an answer", running)).toMatchObject({
      data: undefined,
      errors: [{ extensions: { code: "UNAUTHENTICATED", reason: "REVOKED_BY_ADMIN" } }],
    });
    await letGo();
  });

  test("over WebSocket is answered with the reason and completed before the close", async () => {
    const { node, hold, isHeld, letGo } = await heldNode();
    const user = await signUp(node.url);
    const client = await openRawWebSocket(node.url);
    client.send({ type: "connection_init", payload: { authorization: `Bearer ${user.token}` } });
    await client.next("connection_ack");
    await hold();
    client.send({ type: "subscribe", id: "slow", payload: { query: SLOW } });
    await isHeld();
    await node.sql("UPDATE sessions SET revoked_at = now() WHERE id = $1", [user.sessionId]);
    await client.next("close");
    expect(client.received.slice(1)).toMatchObject([
      {
        message: {
          type: "next",
          id: "slow",
          payload: { errors: [{ extensions: { code: "UNAUTHENTICATED" } }] },
        },
      },
      { message: { type: "complete", id: "slow" } },
      { kind: "close", code: 4401, reason: "Session revoked: REVOKED_BY_ADMIN" },
    ]);
    await letGo();
    client.socket.destroy();
  });
});

describe("a client that leaves before it has its answer", () => {
  /** A node that counts the leases on sessions that requests hold, and waits before it hands them out. */
  async function countingNode() {
    let held = 0;
    const gate = { opened: Promise.resolve() };
    const wrapDirectory = (directory: Directory): Directory => ({
      ...directory,
      async resolve(tokenHash, purpose) {
        const resolution = await directory.resolve(tokenHash, purpose);
        if (resolution.kind !== "live") return resolution;
        held += 1;
        const { lease } = resolution;
        let isReleased = false;
        await gate.opened;
        const release = lease.release.bind(lease);
        lease.release = () => {
          if (!isReleased) held -= 1;
          isReleased = true;
          release();
        };
        return resolution;
      },
    });
    const node = await startTestNode("postgres", { wrapDirectory });
    onTestFinished(() => node.stop());
    return { node, held: () => held, gate };
  }

  test("leaves no lease behind, whenever it leaves", async () => {
    const { node, held, gate } = await countingNode();
    const user = await signUp(node.url);
    await user.run(ViewerDocument);
    expect(held()).toBe(0);

    const opening = Promise.withResolvers<void>();
    gate.opened = opening.promise;
    const leaving = new AbortController();
    const request = fetch(`${node.url}/graphql`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${user.token}` },
      body: JSON.stringify({ query: "{ viewer { id } }" }),
      signal: leaving.signal,
    }).catch(() => "left");
    await eventually("the lease is held", () => held() === 1);
    leaving.abort();
    expect(await request).toBe("left");
    opening.resolve();
    await eventually("the lease is released", () => held() === 0);
  });

  test("and that listened to server-sent events is no longer online", async () => {
    const { node, held } = await countingNode();
    const user = await signUp(node.url);
    const query = "{ mySessions { online } }";
    const isOnline = async () =>
      (await user.run<{ mySessions: { online: boolean }[] }, unknown>(query)).data?.mySessions[0]?.online;
    const subscriber = await subscribeBySse(node.url, user.token);
    await eventually("the session is online", async () => (await isOnline()) === true);
    subscriber.stop();
    await eventually("the session is offline", async () => (await isOnline()) === false);
    expect(held()).toBe(0);
  });
});
