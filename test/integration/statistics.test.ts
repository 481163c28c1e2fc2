import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  CapabilitiesDocument,
  ChangeUserRoleDocument,
  LogoutDocument,
  RolesDocument,
  SessionEventsDocument,
  StatisticsDocument,
} from "../../src/client/generated/graphql.ts";
import { logIn, signUp } from "../kit/client.ts";
import { DATABASES } from "../kit/databases.ts";
import { ADMIN, startTestNode, type TestNode } from "../kit/node.ts";

describe.each(DATABASES)("what operators ask for on the %s database", (kind) => {
  let node: TestNode;
  beforeAll(async () => {
    node = await startTestNode(kind, { settings: { ROLES: "AUDITOR:read-sessions" } });
  });
  afterAll(() => node.stop());

  test("statistics count sign-ins and revocations by reason, and how many sessions there were", async () => {
    const admin = await logIn(node.url, ADMIN);
    const before = new Date();
    const user = await signUp(node.url);
    await logIn(node.url, user);
    await (await logIn(node.url, user)).run(LogoutDocument);
    await admin.run(ChangeUserRoleDocument, { userId: user.userId, role: "SUPPORT" });
    const until = new Date(Date.now() + 1_000);
    const { data } = await admin.run(StatisticsDocument, {
      from: before.toISOString(),
      until: until.toISOString(),
      intervals: 1,
    });
    const [interval] = data?.statistics.intervals ?? [];
    expect(interval?.signIns).toBe(3);
    expect(
      Object.fromEntries((interval?.revocations ?? []).map(({ reason, count }) => [reason, count])),
    ).toEqual({
      LOGOUT: 1,
      ROLE_CHANGED: 2,
    });
    // Those that began in it have ended in it, so there were as many before as there are now.
    expect(interval?.activeSessions).toBe(data?.statistics.activeSessions);
    expect(data?.statistics.connectedSessions).toBe(0);
  });

  test("statistics put what happened into the interval of its time", async () => {
    const admin = await logIn(node.url, ADMIN);
    await node.sql(
      `INSERT INTO session_event (type, session_id, user_id, at, reason) VALUES
        ('SESSION_CREATED', gen_random_uuid(), gen_random_uuid(), '2001-01-01T00:30:00Z', NULL),
        ('SESSION_CREATED', gen_random_uuid(), gen_random_uuid(), '2001-01-01T01:00:00Z', NULL),
        ('SESSION_CHANGED', gen_random_uuid(), gen_random_uuid(), '2001-01-01T01:00:00Z', NULL),
        ('SESSION_REVOKED', gen_random_uuid(), gen_random_uuid(), '2001-01-01T02:59:59Z', 'EXPIRED'),
        ('SESSION_REVOKED', gen_random_uuid(), gen_random_uuid(), '2001-01-01T03:00:00Z', 'EXPIRED')`,
    );
    const { data } = await admin.run(StatisticsDocument, {
      from: "2001-01-01T00:00:00Z",
      until: "2001-01-01T03:00:00Z",
      intervals: 3,
    });
    const intervals = data?.statistics.intervals ?? [];
    const atFirst = intervals[0]?.activeSessions ?? 0;
    expect(intervals).toEqual([
      { start: "2001-01-01T00:00:00.000Z", activeSessions: atFirst, signIns: 1, revocations: [] },
      { start: "2001-01-01T01:00:00.000Z", activeSessions: atFirst + 1, signIns: 1, revocations: [] },
      {
        start: "2001-01-01T02:00:00.000Z",
        activeSessions: atFirst + 2,
        signIns: 0,
        revocations: [{ reason: "EXPIRED", count: 1 }],
      },
    ]);
  });

  test.each([
    ["a span that ends before it begins", { from: "2026-01-02T00:00:00Z", until: "2026-01-01T00:00:00Z" }],
    ["no interval", { intervals: 0 }],
    ["too many intervals", { intervals: 201 }],
  ])("statistics refuse %s", async (_what, variables) => {
    const admin = await logIn(node.url, ADMIN);
    const { errors } = await admin.run(StatisticsDocument, variables);
    expect(errors?.[0]?.extensions?.["code"]).toBe("BAD_REQUEST");
  });

  test("statistics and roles are not for users, and a role of one's own is told and obeyed", async () => {
    const user = await signUp(node.url);
    const refused = await user.run(StatisticsDocument, {});
    expect(refused.errors?.[0]?.extensions?.["code"]).toBe("FORBIDDEN");
    expect((await user.run(RolesDocument)).errors?.[0]?.extensions?.["code"]).toBe("FORBIDDEN");
    expect((await user.run(CapabilitiesDocument)).data?.viewer?.capabilities).toEqual([]);

    await node.sql("UPDATE users SET role = 'AUDITOR' WHERE id = $1", [user.userId]);
    const auditor = await logIn(node.url, user);
    expect((await auditor.run(CapabilitiesDocument)).data?.viewer?.capabilities).toEqual([
      "READ_ANY_SESSIONS",
    ]);
    expect((await auditor.run(RolesDocument)).data?.roles).toEqual(["USER", "SUPPORT", "ADMIN", "AUDITOR"]);
    expect((await auditor.run(StatisticsDocument, {})).data?.statistics.users).toBeGreaterThan(0);
  });

  test("the log is filtered by type, reason, session, actor and time, and counts what fits", async () => {
    const admin = await logIn(node.url, ADMIN);
    const user = await signUp(node.url);
    const second = await logIn(node.url, user);
    await second.run(LogoutDocument);
    await admin.run(ChangeUserRoleDocument, { userId: user.userId, role: "SUPPORT" });
    const read = async (filter: object) => {
      const { data } = await admin.run(SessionEventsDocument, { userId: user.userId, filter });
      return data?.sessionEvents;
    };
    const all = await read({});
    expect(all?.edges).toHaveLength(4);
    expect((await read({ type: "SESSION_CREATED" }))?.totalCount).toBe(2);
    expect((await read({ reason: "LOGOUT" }))?.edges.map(({ node }) => node.sessionId)).toEqual([
      second.sessionId,
    ]);
    expect((await read({ sessionId: second.sessionId }))?.edges).toHaveLength(2);
    expect((await read({ actorId: admin.userId }))?.edges.map(({ node }) => node.reason)).toEqual([
      "ROLE_CHANGED",
    ]);
    const at = all?.edges[1]?.node.at;
    const [since, earlier] = [await read({ from: at }), await read({ until: at })];
    expect((since?.totalCount ?? 0) + (earlier?.totalCount ?? 0)).toBe(4);
    const bad = await admin.run(SessionEventsDocument, { filter: { actorId: "x" } });
    expect(bad.errors?.[0]?.message).toContain("filter.actorId");
  });
});
