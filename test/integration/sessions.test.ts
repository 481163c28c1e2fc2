import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import {
  ChangeUserRoleDocument,
  MySessionsDocument,
  RevokeAllSessionsDocument,
  RevokeSessionDocument,
  ViewerDocument,
} from "../../src/client/generated/graphql.ts";
import { createTestClient, logIn, signUp, type TestClient, type TestUser } from "../kit/client.ts";
import { createTestDatabase, DATABASES } from "../kit/databases.ts";
import { eventually } from "../kit/deadline.ts";
import { ADMIN, startTestNode, type TestNode } from "../kit/node.ts";

describe.each(DATABASES)("sessions on the %s database", (kind) => {
  let node: TestNode;
  beforeAll(async () => {
    node = await startTestNode(kind);
  });
  afterAll(() => node.stop());

  async function withRole(role: "SUPPORT" | "ADMIN"): Promise<TestUser> {
    const user = await signUp(node.url);
    await (await logIn(node.url, ADMIN)).run(ChangeUserRoleDocument, { userId: user.userId, role });
    return logIn(node.url, user);
  }
  async function codes(client: TestClient, query: string): Promise<unknown[]> {
    const { errors } = await client.run(query);
    return errors.map((error) => error.extensions?.["code"]);
  }

  describe("mySessions", () => {
    test("holds the viewer's active sessions, the current one first", async () => {
      const first = await signUp(node.url);
      const second = await logIn(node.url, first);
      const ended = await logIn(node.url, first);
      await first.run(RevokeSessionDocument, { id: ended.sessionId });
      await signUp(node.url);

      const { data } = await first.run(MySessionsDocument);
      expect(data?.mySessions.map(({ id, current }) => [id, current])).toEqual([
        [first.sessionId, true],
        [second.sessionId, false],
      ]);
      const seenBySecond = await second.run(MySessionsDocument);
      expect(seenBySecond.data?.mySessions[0]).toMatchObject({
        id: second.sessionId,
        current: true,
        ipAddress: "127.0.0.1",
        online: false,
      });
    });

    test("names the device", async () => {
      const user = await signUp(node.url);
      const userAgent =
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36";
      const browser = createTestClient(node.url, { "user-agent": userAgent });
      await browser.run(
        `mutation { login(input: { email: "${user.email}", password: "${user.password}", returnToken: true }) { __typename } }`,
      );
      const { data } = await user.run(MySessionsDocument);
      expect(data?.mySessions.map((session) => session.device)).toContain("Chrome on macOS");
    });

    test("leaves out what time has ended, whether or not anybody noticed", async () => {
      const user = await signUp(node.url);
      const expired = await logIn(node.url, user);
      const idle = await logIn(node.url, user);
      await node.sql("UPDATE sessions SET expires_at = now() - interval '1 s' WHERE id = $1", [
        expired.sessionId,
      ]);
      await node.sql("UPDATE sessions SET last_seen_at = now() - interval '15 days' WHERE id = $1", [
        idle.sessionId,
      ]);
      const { data } = await user.run(MySessionsDocument);
      expect(data?.mySessions.map(({ id }) => id)).toEqual([user.sessionId]);
    });
  });

  describe("a session that time has ended", () => {
    test.each([
      ["EXPIRED", "expires_at = now() - interval '1 s'"],
      ["IDLE_TIMEOUT", "last_seen_at = now() - interval '15 days'"],
    ])("is refused as %s, and the log says so", async (reason, change) => {
      const user = await signUp(node.url);
      await node.sql(`UPDATE sessions SET ${change} WHERE id = $1`, [user.sessionId]);
      const { data, errors } = await user.run(ViewerDocument);
      expect(data?.viewer).toBeNull();
      expect(errors).toMatchObject([{ extensions: { code: "UNAUTHENTICATED", reason } }]);
      const events = await node.sql(
        "SELECT reason, actor_id FROM session_event WHERE session_id = $1 ORDER BY id DESC LIMIT 1",
        [user.sessionId],
      );
      expect(events).toEqual([{ reason, actor_id: null }]);
    });

    test("that SQL shortens while a node has it in memory ends when it is due", async () => {
      const user = await signUp(node.url);
      await user.run(ViewerDocument);
      await node.sql("UPDATE sessions SET expires_at = now() + interval '200 ms' WHERE id = $1", [
        user.sessionId,
      ]);
      await eventually(
        "the session is refused",
        async () => (await user.run(ViewerDocument)).data?.viewer === null,
      );
      expect((await user.run(ViewerDocument)).errors).toMatchObject([{ extensions: { reason: "EXPIRED" } }]);
    });
  });

  test("a new name, written by SQL, is what the node answers next", async () => {
    const user = await signUp(node.url);
    await user.run(ViewerDocument);
    await node.sql("UPDATE users SET name = 'Eve' WHERE id = $1", [user.userId]);
    await eventually(
      "the new name",
      async () => (await user.run(ViewerDocument)).data?.viewer?.name === "Eve",
    );
  });

  describe("revoking", () => {
    test("the second of three sessions ends the second", async () => {
      const first = await signUp(node.url);
      const [second, third] = [await logIn(node.url, first), await logIn(node.url, first)];
      await third.run(RevokeSessionDocument, { id: second.sessionId });
      const alive = await Promise.all(
        [first, second, third].map(async (it) => (await it.run(ViewerDocument)).data?.viewer?.id),
      );
      expect(alive).toEqual([first.userId, undefined, first.userId]);
    });

    test("again gives the same answer, with the first reason and time", async () => {
      const first = await signUp(node.url);
      const second = await logIn(node.url, first);
      const admin = await logIn(node.url, ADMIN);
      const once = await first.run(RevokeSessionDocument, { id: second.sessionId });
      const again = await admin.run(RevokeSessionDocument, { id: second.sessionId });
      expect(again.data).toEqual(once.data);
    });

    test("somebody else's session is NotFoundError, exactly as one that does not exist", async () => {
      const [user, stranger] = [await signUp(node.url), await signUp(node.url)];
      const foreign = await user.run(RevokeSessionDocument, { id: stranger.sessionId });
      expect(foreign.data?.revokeSession.__typename).toBe("NotFoundError");
      for (const id of [
        randomUUID(),
        "1",
        "' or 1=1--",
        `{${stranger.sessionId}}`,
        "x".repeat(100_000),
        "\0",
        "",
      ]) {
        expect((await user.run(RevokeSessionDocument, { id })).data).toEqual(foreign.data);
      }
      expect((await stranger.run(ViewerDocument)).data?.viewer?.id).toBe(stranger.userId);
    });

    test("somebody else's sessions is NotFoundError, exactly as those of nobody", async () => {
      const [user, stranger] = [await signUp(node.url), await signUp(node.url)];
      const foreign = await user.run(RevokeAllSessionsDocument, { userId: stranger.userId });
      expect(foreign.data?.revokeAllSessions.__typename).toBe("NotFoundError");
      for (const userId of [randomUUID(), "nonsense"]) {
        expect((await user.run(RevokeAllSessionsDocument, { userId })).data).toEqual(foreign.data);
      }
      expect((await stranger.run(ViewerDocument)).data?.viewer?.id).toBe(stranger.userId);
    });

    test("anybody's session is SUPPORT's right, and the log names who did it", async () => {
      const support = await withRole("SUPPORT");
      const user = await signUp(node.url);
      await support.run(RevokeSessionDocument, { id: user.sessionId });
      const events = await node.sql(
        "SELECT actor_id, reason, ip_address FROM session_event WHERE session_id = $1 AND type = 'SESSION_REVOKED'",
        [user.sessionId],
      );
      expect(events).toEqual([
        { actor_id: support.userId, reason: "REVOKED_BY_ADMIN", ip_address: "127.0.0.1" },
      ]);
    });

    test("all of nobody's sessions is NotFoundError for staff too", async () => {
      const support = await withRole("SUPPORT");
      for (const userId of [randomUUID(), "nonsense"]) {
        const { data } = await support.run(RevokeAllSessionsDocument, { userId });
        expect(data?.revokeAllSessions.__typename).toBe("NotFoundError");
      }
    });
  });

  describe("who may ask what", () => {
    const STAFF_ONLY = [
      "{ users { totalCount } }",
      "{ users { edges { node { id } } } }",
      "{ sessions { totalCount } }",
      "{ sessions { edges { node { id } } } }",
      `{ user(id: "${randomUUID()}") { id } }`,
    ];
    const ADMIN_ONLY = [
      `mutation { changeUserRole(userId: "${randomUUID()}", role: USER) { __typename } }`,
      `mutation { setUserStatus(userId: "${randomUUID()}", status: ACTIVE) { __typename } }`,
    ];
    const SIGNED_IN = [
      "{ mySessions { id } }",
      "mutation { logout { __typename } }",
      `mutation { revokeSession(id: "${randomUUID()}") { __typename } }`,
      "mutation { revokeAllSessions { __typename } }",
    ];

    test.each([...STAFF_ONLY, ...ADMIN_ONLY, ...SIGNED_IN])(
      "anonymous clients get UNAUTHENTICATED for %s",
      async (query) => {
        expect(await codes(createTestClient(node.url), query)).toEqual(["UNAUTHENTICATED"]);
      },
    );

    test.each([...STAFF_ONLY, ...ADMIN_ONLY])("users get FORBIDDEN for %s", async (query) => {
      expect(await codes(await signUp(node.url), query)).toEqual(["FORBIDDEN"]);
    });

    test("SUPPORT may read all and change no user", async () => {
      const support = await withRole("SUPPORT");
      for (const query of STAFF_ONLY) expect(await codes(support, query)).toEqual([]);
      for (const query of ADMIN_ONLY) expect(await codes(support, query)).toEqual(["FORBIDDEN"]);
    });

    test("ADMIN may do all of it", async () => {
      const admin = await withRole("ADMIN");
      for (const query of [...STAFF_ONLY, ...ADMIN_ONLY]) expect(await codes(admin, query)).toEqual([]);
    });
  });

  describe("pages", () => {
    const USERS = `query ($first: Int, $after: String, $search: String) {
      users(first: $first, after: $after, search: $search) {
        totalCount pageInfo { hasNextPage endCursor } edges { node { id email role status sessions { id } } }
      }
    }`;
    type UsersPage = {
      users: {
        totalCount: number;
        pageInfo: { hasNextPage: boolean; endCursor: string };
        edges: { node: { id: string; email: string } }[];
      };
    };

    test("of users follow each other without a gap or a repetition", async () => {
      const admin = await logIn(node.url, ADMIN);
      await signUp(node.url);
      await signUp(node.url);
      const seen: string[] = [];
      let after: string | null = null;
      for (;;) {
        const { data }: { data: UsersPage | null | undefined } = await admin.run<UsersPage, unknown>(USERS, {
          first: 2,
          after,
        });
        if (!data) throw new Error("no page");
        seen.push(...data.users.edges.map((edge) => edge.node.id));
        after = data.users.pageInfo.endCursor;
        if (data.users.pageInfo.hasNextPage) continue;
        expect(seen).toHaveLength(data.users.totalCount);
        break;
      }
      expect(new Set(seen).size).toBe(seen.length);
    });

    test("of users can be searched by a part of the email in any case", async () => {
      const admin = await logIn(node.url, ADMIN);
      const user = await signUp(node.url);
      const { data } = await admin.run<UsersPage, unknown>(USERS, {
        search: user.email.slice(3, 20).toUpperCase(),
      });
      expect(data?.users.edges.map((edge) => edge.node.email)).toEqual([user.email]);
      const wildcard = await admin.run<UsersPage, unknown>(USERS, { search: "%" });
      expect(wildcard.data?.users.totalCount).toBe(0);
    });

    test.each<[string, Record<string, unknown>]>([
      ["first: 0", { first: 0 }],
      ["first: -1", { first: -1 }],
      ["first: 101", { first: 101 }],
      ["first: 2^31", { first: 2 ** 31 }],
      ["first: 1.5", { first: 1.5 }],
      ["a cursor that is none", { after: "abc" }],
      ["a cursor of something else", { after: Buffer.from("GPC:S:abc").toString("base64") }],
      ["a search with a NUL", { search: "\0" }],
      ["a search of 10 KB", { search: "x".repeat(10_000) }],
    ])("with %s are refused as a bad request", async (_name, variables) => {
      const admin = await logIn(node.url, ADMIN);
      const { errors } = await admin.run(USERS, variables);
      expect(errors).toHaveLength(1);
      // Values of a wrong GraphQL type are refused before any of our code runs, and by another name.
      expect(["BAD_REQUEST", "BAD_USER_INPUT", undefined]).toContain(errors[0]?.extensions?.["code"]);
    });

    test("of sessions can be filtered", async () => {
      const admin = await logIn(node.url, ADMIN);
      const user = await signUp(node.url);
      await logIn(node.url, user);
      const count = async (filter: string) => {
        const query = `{ sessions(filter: { ${filter} }) { totalCount edges { node { id user { id } } } } }`;
        const { data, errors } = await admin.run<
          { sessions: { totalCount: number; edges: unknown[] } },
          unknown
        >(query);
        expect(errors).toEqual([]);
        expect(data?.sessions.edges).toHaveLength(data?.sessions.totalCount ?? -1);
        return data?.sessions.totalCount;
      };
      const own = `userId: "${user.userId}"`;
      expect(await count(own)).toBe(2);
      expect(await count(`${own}, role: ADMIN`)).toBe(0);
      expect(await count(`${own}, role: USER, ipAddress: "127.0.0.1"`)).toBe(2);
      expect(await count(`${own}, createdBefore: "2020-01-01T00:00:00Z"`)).toBe(0);
      expect(await count(`${own}, lastSeenBefore: "9999-01-01T00:00:00+02:00"`)).toBe(2);
    });

    test.each([
      'userId: "x"',
      'ipAddress: "\\u0000"',
      'createdBefore: "2026-02-30T00:00:00Z"',
      "role: NOBODY",
      "nothing: 1",
    ])("of sessions with the filter { %s } are refused", async (filter) => {
      const admin = await logIn(node.url, ADMIN);
      const { errors } = await admin.run(`{ sessions(filter: { ${filter} }) { totalCount } }`);
      expect(errors).toHaveLength(1);
      expect(errors[0]?.message).not.toBe("Unexpected error.");
    });

    test("a user's sessions are for themself and staff", async () => {
      const user = await signUp(node.url);
      const { data } = await user.run<{ viewer: { sessions: unknown[] } }, unknown>(
        "{ viewer { sessions { id current user { id } } } }",
      );
      expect(data?.viewer.sessions).toEqual([
        { id: user.sessionId, current: true, user: { id: user.userId } },
      ]);
    });
  });

  test("last_seen_at is written in the background, and a node that stops loses none of it", async () => {
    const database = await createTestDatabase(kind);
    onTestFinished(() => database.remove());
    const before = await startTestNode(kind, { on: database });
    const user = await signUp(before.url);
    await before.sql("UPDATE sessions SET last_seen_at = now() - interval '1 hour' WHERE id = $1", [
      user.sessionId,
    ]);
    const isRecent =
      "SELECT last_seen_at > now() - interval '1 minute' AS recent FROM sessions WHERE id = $1";
    await user.run(ViewerDocument);
    expect(await before.sql(isRecent, [user.sessionId])).toEqual([{ recent: false }]);
    await before.stop();

    const after = await startTestNode(kind, { on: database });
    onTestFinished(() => after.stop());
    expect(await after.sql(isRecent, [user.sessionId])).toEqual([{ recent: true }]);
  });
});
