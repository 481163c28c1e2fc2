import { randomUUID } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { LogoutDocument, SessionEventsDocument, ViewerDocument } from "../../src/client/generated/graphql.ts";
import { verifyLog } from "../../src/revocation/verify-log.ts";
import { deleteUser, exportPersonalData } from "../../src/sessions/personal-data.ts";
import { deleteOutdated } from "../../src/sessions/retention.ts";
import { sweepDueSessions } from "../../src/sessions/sweep.ts";
import { logIn, signUp, type TestUser } from "../kit/client.ts";
import { createTestDatabase, DATABASES } from "../kit/databases.ts";
import { within } from "../kit/deadline.ts";
import { ADMIN, startTestNode, type TestNode } from "../kit/node.ts";
import { runToEnd } from "../kit/process.ts";
import { followEvents, subscribeByWebSocket } from "../kit/subscriber.ts";

const DAY_MS = 86_400_000;
/** Everything is kept but what a test says. */
const KEEPING = {
  sessionRetentionMs: 365 * DAY_MS,
  eventRetentionMs: 365 * DAY_MS,
  addressRetentionMs: 365 * DAY_MS,
  oldAddresses: "drop",
} as const;
const NOTHING_DELETED = { sessions: 0, events: 0, addresses: 0, leftovers: 0 };

describe.each(DATABASES)("the log on the %s database", (kind) => {
  let node: TestNode;
  beforeEach(async () => {
    node = await startTestNode(kind);
  });
  afterEach(() => node.stop());

  /** Users who logged in and out: three events each. */
  async function makeHistory(users: number): Promise<void> {
    for (let count = 0; count < users; count++) await (await signUp(node.url)).run(LogoutDocument);
  }
  /** As a superuser may, who can switch any trigger off. */
  async function tamper(statement: string): Promise<void> {
    await node.sql("ALTER TABLE session_event DISABLE TRIGGER USER");
    await node.sql(statement);
    await node.sql("ALTER TABLE session_event ENABLE TRIGGER USER");
  }
  const verify = () => verifyLog(node.database.prisma);
  async function runScript(script: string): Promise<void> {
    const adapter = await node.database.adapterFactory.connect();
    await adapter.executeScript(script);
  }

  describe("verified", () => {
    test("is whole when nobody touched it", async () => {
      await makeHistory(3);
      await node.sql("UPDATE sessions SET revoked_at = now() WHERE revoked_at IS NULL");
      const { eventCount, oldest, head, findings } = await verify();
      const rows = await node.sql("SELECT count(*)::int AS events FROM session_event");
      expect(findings).toEqual([]);
      expect(eventCount).toBe(rows[0]?.["events"]);
      expect(Number(head.id)).toBeGreaterThan(Number(oldest?.id));
    });

    test("holds whatever is written into a reason", async () => {
      const user = await signUp(node.url);
      await node.sql("UPDATE sessions SET revoked_at = now(), revocation_reason = $2 WHERE id = $1", [
        user.sessionId,
        'a "quoted"\\ \u0001\n\t\u007f\u2028 reason, 😀 […]',
      ]);
      expect((await verify()).findings).toEqual([]);
    });

    test.each([
      [
        "altered",
        "UPDATE session_event SET reason = 'EXPIRED' WHERE id = (SELECT max(id) FROM session_event)",
      ],
      ["given to another", "UPDATE session_event SET actor_id = gen_random_uuid() WHERE id = 2"],
      ["moved in time", "UPDATE session_event SET at = at - interval '1 ms' WHERE id = 2"],
      ["given another address", "UPDATE session_event SET ip_address = '192.0.2.1' WHERE id = 2"],
      ["removed", "DELETE FROM session_event WHERE id = 2"],
      [
        "inserted",
        `INSERT INTO session_event (id, type, session_id, user_id, transaction_id, previous_hash, row_hash)
         SELECT id + 1000, type, session_id, user_id, transaction_id, row_hash, row_hash FROM session_event WHERE id = 2`,
      ],
    ])("names a row that was %s", async (_what, statement) => {
      await makeHistory(2);
      await tamper(statement);
      const { findings } = await verify();
      expect(findings.length).toBeGreaterThan(0);
      expect(["2", "3", "4", "1002"]).toContain(findings[0]?.id);
    });

    test("is whole after many wrote at once", async () => {
      const writers = await Promise.all(Array.from({ length: 6 }, () => signUp(node.url)));
      await Promise.all(
        writers.map(async (user) => {
          const sessions = await Promise.all(Array.from({ length: 5 }, () => logIn(node.url, user)));
          await Promise.all(sessions.map((session) => session.run(LogoutDocument)));
        }),
      );
      const { eventCount, findings } = await verify();
      expect(findings).toEqual([]);
      expect(eventCount).toBe(6 + 6 * 10);
    });

    test("is whole after a writer gave up, or took back a part", async () => {
      const { sessionId } = await signUp(node.url);
      const change = `UPDATE sessions SET expires_at = expires_at + interval '1 s' WHERE id = '${sessionId}';`;
      // In one piece each, because the embedded database has one connection, which the node uses as well.
      const takesBack = `${change} SAVEPOINT part; ${change} ROLLBACK TO part; ${change}`;
      for (const script of [`BEGIN; ${takesBack} COMMIT;`, `BEGIN; ${change} ROLLBACK;`, change]) {
        await runScript(script);
      }
      expect(await verify()).toMatchObject({ eventCount: 4, findings: [] });
    });

    test("shows against a head noted earlier that it was rewritten from end to end", async () => {
      await makeHistory(2);
      const { head } = await verify();
      await tamper("DELETE FROM session_event WHERE id >= 2");
      expect((await verify()).findings).toEqual([]);
      const { findings } = await verifyLog(node.database.prisma, [head]);
      expect(findings).toEqual([{ id: head.id, problem: "it is not in the log as it was noted" }]);
    });
  });

  test("takes no event that would come before the newest one, as after a restore that forgot the sequence", async () => {
    const user = await signUp(node.url);
    await node.sql("SELECT setval('session_event_id_seq', 1, false)");
    await expect(
      node.sql("UPDATE sessions SET revoked_at = now() WHERE id = $1", [user.sessionId]),
    ).rejects.toMatchObject({ code: "LL005" });
    expect(await verify()).toMatchObject({ eventCount: 1, findings: [] });
  });

  describe("retention", () => {
    test("deletes the oldest events, never the newest, and what is left is whole", async () => {
      await makeHistory(2);
      const before = await verify();
      await pause(5);
      const all = { ...KEEPING, eventRetentionMs: 1 };
      expect(await deleteOutdated(node.database.prisma, all)).toEqual({
        ...NOTHING_DELETED,
        events: before.eventCount - 1,
      });
      const after = await verify();
      expect(after).toMatchObject({ eventCount: 1, oldest: before.head, head: before.head, findings: [] });
      expect(await deleteOutdated(node.database.prisma, all)).toEqual(NOTHING_DELETED);
    });

    test("keeps what is young", async () => {
      await makeHistory(1);
      expect(await deleteOutdated(node.database.prisma, KEEPING)).toEqual(NOTHING_DELETED);
    });

    test("deletes sessions that ended long ago, without a new event", async () => {
      const user = await signUp(node.url);
      await makeHistory(1);
      const { eventCount } = await verify();
      await pause(5);
      const rules = { ...KEEPING, sessionRetentionMs: 1 };
      expect(await deleteOutdated(node.database.prisma, rules)).toEqual({ ...NOTHING_DELETED, sessions: 1 });
      expect((await verify()).eventCount).toBe(eventCount);
      expect((await user.run(SessionEventsDocument, {})).data?.sessionEvents.totalCount).toBe(1);
    });

    test("makes a cursor expire that it has passed", async () => {
      await makeHistory(2);
      const admin = await logIn(node.url, ADMIN);
      await pause(5);
      await deleteOutdated(node.database.prisma, { ...KEEPING, eventRetentionMs: 1 });
      const feed = await followEvents(node.url, admin.token, { after: "1" });
      expect(await within(5_000, "the end", feed.ended)).toBe("complete");
      expect(feed.errorCodes).toEqual(["CURSOR_EXPIRED"]);
      const fromBeginning = await followEvents(node.url, admin.token, { after: "0" });
      expect(await within(5_000, "the end", fromBeginning.ended)).toBe("complete");
      expect(fromBeginning.errorCodes).toEqual(["CURSOR_EXPIRED"]);
    });

    test("cannot be used to delete anything but the oldest events", async () => {
      await makeHistory(1);
      await expect(
        node.sql(
          `WITH allowed AS MATERIALIZED (SELECT set_config('live_logout.retention', 'on', true))
           DELETE FROM session_event USING allowed WHERE id = 2`,
        ),
      ).rejects.toMatchObject({ code: "LL002" });
    });
  });

  describe("addresses that are old", () => {
    /** One session that lives and one that ended, of an address that nobody invents. */
    async function makeAddresses(ipAddress: string): Promise<TestUser> {
      const user = await signUp(node.url);
      await (await logIn(node.url, user)).run(LogoutDocument);
      await tamper("DELETE FROM session_event");
      await node.sql("UPDATE sessions SET ip_address = $1", [ipAddress]);
      await node.sql(
        `WITH told AS MATERIALIZED (SELECT set_config('live_logout.ip_address', $1, true))
         UPDATE sessions SET remembered = NOT remembered FROM told`,
        [ipAddress],
      );
      await pause(5);
      return user;
    }
    const addresses = () =>
      node.sql(`SELECT ip_address FROM sessions UNION SELECT ip_address FROM session_event`);

    test.each<["drop" | "shorten", string, (string | null)[]]>([
      ["drop", "192.0.2.77", [null]],
      ["drop", "unknown", [null]],
      ["shorten", "192.0.2.77", ["192.0.2.0/24", null]],
      ["shorten", "2001:db8:1:2:3:4:5:6", ["2001:db8:1::/48", null]],
      ["shorten", "unknown", [null]],
    ])("%s: %s, in sessions and in the log, whose chain is whole", async (oldAddresses, given, left) => {
      const user = await makeAddresses(given);
      expect(await addresses()).toContainEqual({ ip_address: given });
      const before = await verify();
      const rules = { ...KEEPING, addressRetentionMs: 1, oldAddresses };
      expect((await deleteOutdated(node.database.prisma, rules)).addresses).toBeGreaterThan(0);
      const found = (await addresses()).map((row) => row["ip_address"]);
      expect(found.toSorted()).toEqual(left.toSorted());
      expect(await verify()).toMatchObject({ oldest: before.oldest, findings: [] });
      expect(await node.sql("SELECT 1 FROM session_event WHERE ip_salt IS NOT NULL")).toEqual([]);
      expect((await user.run(ViewerDocument)).data?.viewer?.id).toBe(user.userId);
      // Nothing is left to be done, so the next round finds its end.
      await pause(5);
      expect((await deleteOutdated(node.database.prisma, rules)).addresses).toBe(0);
    });

    test("are kept as long as the setting says", async () => {
      await makeAddresses("192.0.2.77");
      expect(await deleteOutdated(node.database.prisma, KEEPING)).toEqual(NOTHING_DELETED);
      expect(await addresses()).toContainEqual({ ip_address: "192.0.2.77" });
    });

    test.each([
      ["another reason", "reason = 'LOGOUT'"],
      ["another address", "ip_address = '192.0.2.78'"],
      ["an address that is kept, without its salt", "ip_salt = NULL"],
      ["a hash", "row_hash = sha256('')"],
    ])("cannot be an excuse to give an event %s", async (_what, assignment) => {
      await makeAddresses("192.0.2.77");
      await expect(
        node.sql(
          `WITH allowed AS MATERIALIZED (SELECT set_config('live_logout.retention', 'on', true))
           UPDATE session_event SET ${assignment} FROM allowed`,
        ),
      ).rejects.toMatchObject({ code: "LL002" });
    });
  });

  test("a deleted user leaves no address and no name behind, and the log is whole", async () => {
    const user = await signUp(node.url);
    const subscriber = await subscribeByWebSocket(node.url, user.token);
    await (await logIn(node.url, user)).run(LogoutDocument);
    const { user: known, ...data } = await exportPersonalData(
      node.database.prisma,
      await node.database.prisma.user.findUniqueOrThrow({ where: { id: user.userId } }),
    );
    expect(known).toMatchObject({ id: user.userId, email: user.email });
    expect(data.sessions).toHaveLength(2);
    expect(data.events.map((event) => event.type)).toEqual([
      "SESSION_CREATED",
      "SESSION_CREATED",
      "SESSION_REVOKED",
    ]);
    expect(JSON.stringify({ known, ...data })).not.toMatch(/argon2|[0-9a-f]{64}/i);

    expect(await deleteUser(node.database.prisma, user.userId)).toEqual({ kind: "deleted", revokedCount: 1 });
    expect(await subscriber.next()).toMatchObject({ reason: "REVOKED_BY_ADMIN", current: true });
    for (const table of ["users", "sessions", "known_origins", "outbox", "password_resets"]) {
      const column = table === "users" ? "id" : "user_id";
      expect(await node.sql(`SELECT 1 FROM ${table} WHERE ${column} = $1`, [user.userId])).toEqual([]);
    }
    expect(
      await node.sql("SELECT DISTINCT ip_address, ip_salt FROM session_event WHERE user_id = $1", [
        user.userId,
      ]),
    ).toEqual([{ ip_address: null, ip_salt: null }]);
    expect((await verify()).findings).toEqual([]);
    expect(await deleteUser(node.database.prisma, user.userId)).toEqual({ kind: "notFound" });
  });

  describe("the sweep", () => {
    const HOUR_MS = 3_600_000;
    const rules = { idleTimeoutMs: HOUR_MS };

    test("ends sessions that no node holds, with the reason, in the log", async () => {
      const expired = await signUp(node.url);
      const idle = await signUp(node.url);
      const live = await signUp(node.url);
      await node.sql("UPDATE sessions SET expires_at = now() - interval '1 s' WHERE id = $1", [
        expired.sessionId,
      ]);
      await node.sql("UPDATE sessions SET last_seen_at = now() - interval '1 hour' WHERE id = $1", [
        idle.sessionId,
      ]);
      expect(await sweepDueSessions(node.database.prisma, rules, { graceMs: 0 })).toBe(2);
      const rows = await node.sql(
        "SELECT session_id, reason FROM session_event WHERE type = 'SESSION_REVOKED' ORDER BY id",
      );
      expect(new Map(rows.map((row) => [row["session_id"], row["reason"]]))).toEqual(
        new Map([
          [expired.sessionId, "EXPIRED"],
          [idle.sessionId, "IDLE_TIMEOUT"],
        ]),
      );
      expect((await live.run(SessionEventsDocument, {})).errors).toEqual([]);
    });

    test("leaves alone for a while what may have been used on another node just now", async () => {
      const user = await signUp(node.url);
      await node.sql("UPDATE sessions SET last_seen_at = now() - interval '61 minutes' WHERE id = $1", [
        user.sessionId,
      ]);
      expect(await sweepDueSessions(node.database.prisma, rules, { graceMs: 120_000 })).toBe(0);
      expect(await sweepDueSessions(node.database.prisma, rules, { graceMs: 0 })).toBe(1);
    });

    test("by several nodes at once ends each session once", async () => {
      const userId = randomUUID();
      await node.sql("INSERT INTO users (id, email, name, password_hash) VALUES ($1, $2, 'Ann', 'hash')", [
        userId,
        `${userId}@example.com`,
      ]);
      await node.sql(
        `INSERT INTO sessions (id, user_id, token_hash, credential_version, expires_at)
         SELECT gen_random_uuid(), $1, encode(sha256(number::text::bytea), 'hex'), 1, now() - interval '1 s'
         FROM generate_series(1, 2500) AS number`,
        [userId],
      );
      const { prisma } = node.database;
      const swept = await Promise.all([1, 2, 3].map(() => sweepDueSessions(prisma, rules, { graceMs: 0 })));
      expect(swept.reduce((sum, count) => sum + count)).toBe(2_500);
      const rows = await node.sql(
        "SELECT count(*)::int AS events FROM session_event WHERE type = 'SESSION_REVOKED' AND reason = 'EXPIRED'",
      );
      expect(rows[0]?.["events"]).toBe(2_500);
    });
  });

  test("a session expires on its open socket at the moment, not at the next look around", async () => {
    const user = await signUp(node.url);
    const subscriber = await subscribeByWebSocket(node.url, user.token);
    await node.sql("UPDATE sessions SET expires_at = clock_timestamp() + interval '1500 ms' WHERE id = $1", [
      user.sessionId,
    ]);
    expect(await subscriber.next()).toMatchObject({ reason: "EXPIRED", current: true });
    expect(await within(5_000, "the close", subscriber.closed)).toMatchObject({ code: 4401 });
    const rows = await node.sql(
      "SELECT revoked_at >= expires_at AS is_not_early FROM sessions WHERE id = $1",
      [user.sessionId],
    );
    expect(rows).toEqual([{ is_not_early: true }]);
  });
});

describe("npm run verify-log", () => {
  test("says whether the log is whole, and exits with 1 if it is not", async () => {
    const database = await createTestDatabase("postgres");
    onTestFinished(() => database.remove());
    const node = await startTestNode("postgres", { on: database });
    onTestFinished(() => node.stop());
    await (await signUp(node.url)).run(LogoutDocument);

    const whole = await runToEnd("src/cli/verify-log.ts", [], database.settings);
    expect(whole).toMatchObject({ code: 0, stdout: expect.stringContaining("The log is whole.") });
    const head = /^head (\S+)$/m.exec(whole.stdout)?.[1] ?? "";
    const noted = await runToEnd("src/cli/verify-log.ts", ["--head", head], database.settings);
    expect(noted.code).toBe(0);

    await node.sql("ALTER TABLE session_event DISABLE TRIGGER USER");
    await node.sql("UPDATE session_event SET reason = 'POLICY' WHERE reason = 'LOGOUT'");
    const altered = await runToEnd("src/cli/verify-log.ts", [], database.settings);
    expect(altered).toMatchObject({ code: 1, stdout: expect.stringMatching(/^event 2: it was altered/) });

    const misused = await runToEnd("src/cli/verify-log.ts", ["--head", "2"], database.settings);
    expect(misused).toMatchObject({ code: 1, stderr: expect.stringContaining("--head takes") });
  });
});
