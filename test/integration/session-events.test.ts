import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import WebSocket from "ws";
import {
  LogoutDocument,
  RevokeSessionDocument,
  SessionEventsDocument,
} from "../../src/client/generated/graphql.ts";
import type { Directory } from "../../src/revocation/directory.ts";
import { logIn, settle, signUp, type TestUser } from "../kit/client.ts";
import { DATABASES } from "../kit/databases.ts";
import { eventually, within } from "../kit/deadline.ts";
import { ADMIN, startTestNode, type TestNode } from "../kit/node.ts";
import { followEvents } from "../kit/subscriber.ts";

describe.each(DATABASES)("session events on the %s database", (kind) => {
  let node: TestNode;
  beforeAll(async () => {
    node = await startTestNode(kind);
  });
  afterAll(() => node.stop());

  /** Logs a user in and out again: two events. */
  async function logInAndOut(user: TestUser): Promise<string> {
    const session = await logIn(node.url, user);
    await session.run(LogoutDocument);
    return session.sessionId;
  }
  async function idsInLog(userId: string): Promise<string[]> {
    const rows = await node.sql(
      "SELECT id::text AS cursor FROM session_event WHERE user_id = $1 ORDER BY id",
      [userId],
    );
    return rows.map((row) => String(row["cursor"]));
  }

  describe("the query", () => {
    test("has the newest first, with who did it and why", async () => {
      const user = await signUp(node.url);
      const admin = await logIn(node.url, ADMIN);
      const second = await logIn(node.url, user);
      await admin.run(RevokeSessionDocument, { id: second.sessionId });
      const { data } = await user.run(SessionEventsDocument, {});
      const events = data?.sessionEvents.edges.map((edge) => edge.node) ?? [];
      expect(events.map(({ type, sessionId, reason }) => [type, sessionId, reason])).toEqual([
        ["SESSION_REVOKED", second.sessionId, "REVOKED_BY_ADMIN"],
        ["SESSION_CREATED", second.sessionId, null],
        ["SESSION_CREATED", user.sessionId, null],
      ]);
      expect(events[0]?.actor).toMatchObject({ id: admin.userId, email: "" });
      expect(events[1]?.actor).toMatchObject({ id: user.userId, email: user.email });
      expect(data?.sessionEvents.totalCount).toBe(3);
      const seenByAdmin = await admin.run(SessionEventsDocument, { userId: user.userId, first: 1 });
      expect(seenByAdmin.data?.sessionEvents.edges[0]?.node.actor?.email).toBe(ADMIN.email);
    });

    test("is paged by the events' ids", async () => {
      const user = await signUp(node.url);
      for (let count = 0; count < 3; count++) await logInAndOut(user);
      const seen: string[] = [];
      for (let hasNextPage = true; hasNextPage; ) {
        const { data } = await user.run(SessionEventsDocument, { first: 2, after: seen.at(-1) ?? null });
        seen.push(...(data?.sessionEvents.edges.map((edge) => edge.node.id) ?? []));
        hasNextPage = data?.sessionEvents.pageInfo.hasNextPage ?? false;
      }
      expect(seen).toEqual((await idsInLog(user.userId)).reverse());
    });

    test("shows a user no other's events, and staff anybody's", async () => {
      const [user, other] = [await signUp(node.url), await signUp(node.url)];
      const refused = await user.run(SessionEventsDocument, { userId: other.userId });
      expect(refused.errors[0]?.extensions?.["code"]).toBe("FORBIDDEN");
      const admin = await logIn(node.url, ADMIN);
      const { data } = await admin.run(SessionEventsDocument, { userId: other.userId });
      expect(data?.sessionEvents.edges.map((edge) => edge.node.user.id)).toEqual([other.userId]);
    });

    test("still tells of users who were deleted", async () => {
      const user = await signUp(node.url);
      await node.sql("DELETE FROM users WHERE id = $1", [user.userId]);
      const admin = await logIn(node.url, ADMIN);
      const { data } = await admin.run(SessionEventsDocument, { userId: user.userId });
      expect(data?.sessionEvents.edges[0]?.node).toMatchObject({
        type: "SESSION_REVOKED",
        user: { id: user.userId, email: "", name: "Deleted user" },
      });
    });

    test.each(["-1", "abc", "1e3", ""])("refuses the cursor %j", async (after) => {
      const user = await signUp(node.url);
      const { errors } = await user.run(SessionEventsDocument, { after });
      expect(errors[0]?.extensions?.["code"]).toBe("BAD_REQUEST");
    });
  });

  describe("the subscription", () => {
    test("tells one's own events as they happen", async () => {
      const user = await signUp(node.url);
      const other = await signUp(node.url);
      const feed = await followEvents(node.url, user.token);
      await logInAndOut(other);
      const sessionId = await logInAndOut(user);
      expect(await feed.next()).toMatchObject({
        type: "SESSION_CREATED",
        sessionId,
        user: { id: user.userId },
      });
      expect(await feed.next()).toMatchObject({ type: "SESSION_REVOKED", sessionId, reason: "LOGOUT" });
      feed.stop();
    });

    test("replays what came after the cursor and goes on live, without a gap or a repetition", async () => {
      const user = await signUp(node.url);
      for (let count = 0; count < 3; count++) await logInAndOut(user);
      const ids = await idsInLog(user.userId);
      const feeds = await Promise.all(
        ["0", ...ids].map((after) => followEvents(node.url, user.token, { after })),
      );
      for (let count = 0; count < 3; count++) await logInAndOut(user);
      const all = await idsInLog(user.userId);
      for (const [index, feed] of feeds.entries()) {
        const expected = all.slice(index);
        await eventually("everything is told", () => feed.events.length >= expected.length);
        expect(feed.events.map(({ id }) => id)).toEqual(expected);
        feed.stop();
      }
    });

    test("says that a cursor has expired instead of leaving a gap", async () => {
      const user = await signUp(node.url);
      const [id] = await idsInLog(user.userId);
      for (const after of ["99999999999999999999999", String(BigInt(id ?? 0) + 1_000_000n)]) {
        const feed = await followEvents(node.url, user.token, { after });
        expect(await within(5_000, "the end", feed.ended)).toBe("complete");
        expect(feed.errorCodes).toEqual(["CURSOR_EXPIRED"]);
      }
    });

    test.each(["-1", "abc", "1e3"])("refuses the cursor %j", async (after) => {
      const user = await signUp(node.url);
      const feed = await followEvents(node.url, user.token, { after });
      expect(await within(5_000, "the end", feed.ended)).toBe("complete");
      expect(feed.errorCodes).toEqual(["BAD_REQUEST"]);
    });

    test("of another's events is refused to users", async () => {
      const [user, other] = [await signUp(node.url), await signUp(node.url)];
      const feed = await followEvents(node.url, user.token, { userId: other.userId });
      expect(await within(5_000, "the end", feed.ended)).toBe("complete");
      expect(feed.errorCodes).toEqual(["FORBIDDEN"]);
    });

    test("ends with the session", async () => {
      const user = await signUp(node.url);
      const feed = await followEvents(node.url, user.token);
      await user.run(LogoutDocument);
      expect(await within(5_000, "the close", feed.closed)).toMatchObject({ code: 4401 });
    });

    test("tells staff nothing more once they have lost the role, though their session was kept", async () => {
      const support = await signUp(node.url);
      await node.sql("UPDATE users SET role = 'SUPPORT' WHERE id = $1", [support.userId]);
      const session = await logIn(node.url, support);
      const feed = await followEvents(node.url, session.token);
      await logInAndOut(await signUp(node.url));
      await eventually("staff see everybody's events", () => feed.events.length >= 3);
      await node.sql(
        `WITH keep AS MATERIALIZED (SELECT set_config('live_logout.keep_session', $2, true))
         UPDATE users SET role = 'USER' FROM keep WHERE id = $1`,
        [support.userId, session.sessionId],
      );
      const before = feed.events.length;
      await logInAndOut(await signUp(node.url));
      await eventually("it is said", () => feed.errorCodes.length > 0);
      expect(feed.errorCodes).toEqual(["FORBIDDEN"]);
      expect(feed.events.slice(before).map(({ user }) => user.id)).toEqual([support.userId]);
      expect(await within(5_000, "the end", feed.ended)).toBe("complete");
    });
  });
});

describe("a subscriber that does not read", () => {
  test("is told everything from the log once it reads again, and keeps nobody else waiting", async () => {
    const node = await startTestNode("postgres");
    onTestFinished(() => node.stop());
    const admin = await logIn(node.url, ADMIN);
    const user = await signUp(node.url);
    // A follower begins after what the node has applied: the sign-up is to be among that.
    await settle(node.url);
    // Large enough for neither the kernel's buffers nor the node's memory of recent events to hold what comes.
    const fields = Array.from({ length: 40 }, (_, index) => `field${index}: sessionId`).join(" ");
    const follow = async () => {
      const socket = new WebSocket(`${node.url.replace("http", "ws")}/graphql`, "graphql-transport-ws");
      onTestFinished(() => socket.terminate());
      const ids: string[] = [];
      const isReady = Promise.withResolvers<void>();
      socket.on("open", () =>
        socket.send(
          JSON.stringify({ type: "connection_init", payload: { authorization: `Bearer ${admin.token}` } }),
        ),
      );
      socket.on("message", (data) => {
        const { type, id, payload } = JSON.parse(String(data));
        if (type === "connection_ack") {
          const query = `subscription { sessionEvents(userId: "${user.userId}") { id ${fields} } }`;
          socket.send(JSON.stringify({ id: "feed", type: "subscribe", payload: { query } }));
          socket.send(
            JSON.stringify({ id: "probe", type: "subscribe", payload: { query: "{ __typename }" } }),
          );
        }
        if (type === "next" && id === "probe") isReady.resolve();
        if (type === "next" && id === "feed") ids.push(payload.data.sessionEvents.id);
      });
      await within(5_000, "the subscription", isReady.promise);
      return { socket, ids };
    };
    const [reading, paused] = [await follow(), await follow()];
    paused.socket.pause();
    const count = 6_000;
    await node.sql(
      `INSERT INTO sessions (id, user_id, token_hash, credential_version, expires_at)
       SELECT gen_random_uuid(), id, encode(sha256(convert_to(number::text, 'UTF8')), 'hex'), credential_version,
              now() + interval '1 day'
       FROM users, generate_series(1, ${count}) AS number WHERE id = $1`,
      [user.userId],
    );
    const rows = await node.sql(
      `SELECT id::text AS cursor FROM session_event WHERE user_id = $1 ORDER BY id OFFSET 1`,
      [user.userId],
    );
    const expected = rows.map((row) => row["cursor"]);
    await eventually("the other is told everything", () => reading.ids.length >= count, 25_000);
    expect(reading.ids).toEqual(expected);
    expect(paused.ids.length).toBeLessThan(count);
    paused.socket.resume();
    await eventually("it is told everything, too", () => paused.ids.length >= count, 25_000);
    expect(paused.ids).toEqual(expected);
  }, 90_000);
});

describe("the feed of a support user whose role is taken", () => {
  test("tells nothing more, even while the socket's close is held back", async () => {
    let isHeld = false;
    // The lease tells nobody that it is over, as if the close were on its way for ever.
    const wrapDirectory = (directory: Directory): Directory => ({
      ...directory,
      async resolve(tokenHash, purpose) {
        const resolution = await directory.resolve(tokenHash, purpose);
        if (resolution.kind !== "live" || !isHeld) return resolution;
        resolution.lease.tellOver = () => {};
        return resolution;
      },
    });
    const node = await startTestNode("postgres", { wrapDirectory });
    onTestFinished(() => node.stop());
    const support = await signUp(node.url);
    await node.sql("UPDATE users SET role = 'SUPPORT' WHERE id = $1", [support.userId]);
    const session = await logIn(node.url, support);
    isHeld = true;
    const feed = await followEvents(node.url, session.token);
    isHeld = false;
    const other = await signUp(node.url);
    await eventually("staff see everybody's events", () => feed.events.length === 1);
    await node.sql("UPDATE users SET role = 'USER' WHERE id = $1", [support.userId]);
    await other.run(LogoutDocument);
    expect(await within(5_000, "the end of the feed", feed.ended)).toBe("complete");
    expect(feed.events).toHaveLength(1);
  });

  test("a follower that was never there costs nothing: an unknown user's feed stays silent", async () => {
    const node = await startTestNode("postgres");
    onTestFinished(() => node.stop());
    const admin = await logIn(node.url, ADMIN);
    const feed = await followEvents(node.url, admin.token, { userId: randomUUID() });
    await signUp(node.url);
    const own = await followEvents(node.url, admin.token, { userId: admin.userId, after: "0" });
    expect(await own.next()).toMatchObject({ type: "SESSION_CREATED" });
    expect(feed.events).toEqual([]);
  });
});
