import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  RevokeSessionsDocument,
  type SessionFilter,
  ViewerDocument,
} from "../../src/client/generated/graphql.ts";
import { countByPolicy, revokeByPolicy } from "../../src/sessions/revoke-by-policy.ts";
import { logIn, signUp, type TestUser } from "../kit/client.ts";
import { DATABASES } from "../kit/databases.ts";
import { within } from "../kit/deadline.ts";
import { ADMIN, startTestNode, type TestNode } from "../kit/node.ts";
import { subscribeByWebSocket } from "../kit/subscriber.ts";

describe.each(DATABASES)("revokeSessions on the %s database", (kind) => {
  let node: TestNode;
  let admin: TestUser;
  beforeEach(async () => {
    node = await startTestNode(kind);
    admin = await logIn(node.url, ADMIN);
  });
  afterEach(() => node.stop());

  async function revoke(filter: SessionFilter, dryRun = false): Promise<unknown> {
    const { data, errors } = await admin.run(RevokeSessionsDocument, { filter, dryRun });
    if (data?.revokeSessions.__typename !== "RevokeAllSessionsSuccess")
      return errors[0]?.extensions?.["code"];
    return data.revokeSessions.revokedCount;
  }
  async function isLive(user: TestUser): Promise<boolean> {
    return (await user.run(ViewerDocument)).data?.viewer?.id === user.userId;
  }
  /** Sessions that nobody can use, only to have many. */
  async function insertSessions(user: TestUser, count: number): Promise<void> {
    await node.sql(
      `INSERT INTO sessions (id, user_id, token_hash, credential_version, expires_at)
       SELECT gen_random_uuid(), id, encode(sha256(convert_to(id || '/' || number, 'UTF8')), 'hex'),
              credential_version, now() + interval '1 day'
       FROM users, generate_series(1, $2::int) AS number WHERE id = $1`,
      [user.userId, count],
    );
  }

  test("without a condition ends everybody's but the caller's own current session (ASVS 7.4.5)", async () => {
    const users = [await signUp(node.url), await signUp(node.url), await logIn(node.url, ADMIN)];
    const subscriber = await subscribeByWebSocket(node.url, users[0]?.token ?? "");
    expect(await revoke({}, true)).toBe(3);
    expect(await Promise.all(users.map(isLive))).toEqual([true, true, true]);
    expect(await revoke({})).toBe(3);
    expect(await Promise.all(users.map(isLive))).toEqual([false, false, false]);
    expect(await isLive(admin)).toBe(true);
    expect(await subscriber.next()).toMatchObject({ reason: "POLICY", current: true });
    expect(await within(5_000, "the close", subscriber.closed)).toMatchObject({ code: 4401 });
    const rows = await node.sql(
      "SELECT DISTINCT reason, actor_id::text FROM session_event WHERE type = 'SESSION_REVOKED'",
    );
    expect(rows).toEqual([{ reason: "POLICY", actor_id: admin.userId }]);
    expect(await revoke({})).toBe(0);
  });

  test("ends only what fits every condition", async () => {
    const [user, other] = [await signUp(node.url), await signUp(node.url)];
    const second = await logIn(node.url, user);
    await node.sql("UPDATE sessions SET last_seen_at = now() - interval '2 days' WHERE id = $1", [
      second.sessionId,
    ]);
    const yesterday = new Date(Date.now() - 86_400_000).toISOString();
    expect(await revoke({ userId: user.userId, lastSeenBefore: yesterday, role: "USER" })).toBe(1);
    expect(await Promise.all([user, second, other].map(isLive))).toEqual([true, false, true]);
    expect(await revoke({ role: "SUPPORT" })).toBe(0);
    expect(await revoke({ createdBefore: yesterday })).toBe(0);
    expect(await revoke({ ipAddress: "192.0.2.1" })).toBe(0);
    expect(await revoke({ ipAddress: "127.0.0.1", userId: other.userId })).toBe(1);
  });

  test.each([{ userId: "1" }, { ipAddress: "\0" }])("refuses the filter %j", async (filter) => {
    expect(await revoke(filter)).toBe("BAD_REQUEST");
    expect(await revoke(filter, true)).toBe("BAD_REQUEST");
  });

  test("is for administrators", async () => {
    const user = await signUp(node.url);
    await node.sql("UPDATE users SET role = 'SUPPORT' WHERE id = $1", [user.userId]);
    const support = await logIn(node.url, user);
    for (const dryRun of [true, false]) {
      const { errors } = await support.run(RevokeSessionsDocument, { filter: {}, dryRun });
      expect(errors[0]?.extensions?.["code"]).toBe("FORBIDDEN");
    }
  });

  test("works in batches, and broken off in the middle it ends the rest when it is repeated", async () => {
    const user = await signUp(node.url);
    await insertSessions(user, 12_000);
    const rooms = { prisma: node.database.prisma, now: () => Date.now() + 1_000, catchUp: async () => {} };
    const revoker = { ...admin, mayEndAnySessions: true, ipAddress: undefined };
    const policy = { userId: user.userId };
    const batches: number[] = [];
    const crash = {
      mayGoOn: () => {
        if (batches.length === 1) throw new Error("the node dies here");
      },
      onBatch: (revokedCount: number) => void batches.push(revokedCount),
    };
    await expect(revokeByPolicy(rooms, revoker, policy, crash)).rejects.toThrow("the node dies here");
    expect(await countByPolicy(rooms, revoker, policy)).toBe(7_001);
    const onBatch = (revokedCount: number) => void batches.push(revokedCount);
    expect(await revokeByPolicy(rooms, revoker, policy, { mayGoOn: () => {}, onBatch })).toBe(7_001);
    expect(batches).toEqual([5_000, 5_000, 7_001]);
    const rows = await node.sql(
      "SELECT count(*)::int AS events, count(DISTINCT session_id)::int AS sessions FROM session_event WHERE reason = 'POLICY'",
    );
    expect(rows).toEqual([{ events: 12_001, sessions: 12_001 }]);
  });

  test("says in the service's log how far it is", async () => {
    await signUp(node.url);
    await revoke({});
    expect(node.logged.join("")).toContain("sessions are being revoked by policy");
  });
});
