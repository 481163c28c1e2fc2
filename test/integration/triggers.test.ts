import { randomUUID } from "node:crypto";
import pg from "pg";
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { createTestDatabase, DATABASES, type TestDatabase } from "../kit/databases.ts";
import { startTestNode, type TestNode } from "../kit/node.ts";

/** The promises that the database keeps by itself, whoever writes. */
describe.each(DATABASES)("the triggers on the %s database", (kind) => {
  let node: TestNode;
  let userId: string;
  beforeAll(async () => {
    node = await startTestNode(kind);
  });
  afterAll(() => node.stop());
  beforeEach(async () => {
    userId = randomUUID();
    await node.sql("INSERT INTO users (id, email, name, password_hash) VALUES ($1, $2, 'Ann', 'hash')", [
      userId,
      `${userId}@example.com`,
    ]);
  });

  async function insertSession(credentialVersion = 1): Promise<string> {
    const id = randomUUID();
    await node.sql(
      `INSERT INTO sessions (id, user_id, token_hash, credential_version, expires_at)
       VALUES ($1, $2, $3, $4, now() + interval '1 day')`,
      [id, userId, (randomUUID() + randomUUID()).replaceAll("-", ""), credentialVersion],
    );
    return id;
  }
  async function events(): Promise<readonly string[]> {
    const rows = await node.sql("SELECT type, reason FROM session_event WHERE user_id = $1 ORDER BY id", [
      userId,
    ]);
    return rows.map((row) => (row["reason"] ? `${row["type"]} ${row["reason"]}` : String(row["type"])));
  }
  const refusal = (code: string) => expect.objectContaining({ code });

  test("P6: each beginning, change and end of a session stands in the log, with its reason", async () => {
    const id = await insertSession();
    await node.sql("UPDATE sessions SET expires_at = now() + interval '2 days' WHERE id = $1", [id]);
    await node.sql("UPDATE sessions SET revoked_at = now(), revocation_reason = 'POLICY' WHERE id = $1", [
      id,
    ]);
    expect(await events()).toEqual(["SESSION_CREATED", "SESSION_CHANGED", "SESSION_REVOKED POLICY"]);
  });

  test("last_seen_at alone writes no event", async () => {
    const id = await insertSession();
    await node.sql("UPDATE sessions SET last_seen_at = now() + interval '1 minute' WHERE id = $1", [id]);
    expect(await events()).toEqual(["SESSION_CREATED"]);
  });

  test("the actor, the address and the reason of a transaction are written with its events", async () => {
    const id = await insertSession();
    const actorId = randomUUID();
    await node.sql(
      `WITH settings AS MATERIALIZED (
         SELECT set_config('live_logout.actor_id', $2, true), set_config('live_logout.reason', 'POLICY', true),
                set_config('live_logout.ip_address', '192.0.2.1', true)
       ) UPDATE sessions SET revoked_at = now() FROM settings WHERE id = $1`,
      [id, actorId],
    );
    const rows = await node.sql(
      "SELECT actor_id, reason, ip_address FROM session_event WHERE session_id = $1 AND type = 'SESSION_REVOKED'",
      [id],
    );
    expect(rows).toEqual([{ actor_id: actorId, reason: "POLICY", ip_address: "192.0.2.1" }]);
  });

  test("P6: the log is append-only", async () => {
    await insertSession();
    for (const statement of [
      "UPDATE session_event SET reason = 'X'",
      "DELETE FROM session_event",
      "TRUNCATE session_event",
    ]) {
      await expect(node.sql(statement)).rejects.toEqual(refusal("LL002"));
    }
  });

  test("a revoked session stays revoked, at its time and for its reason", async () => {
    const id = await insertSession();
    await node.sql("UPDATE sessions SET revoked_at = now() WHERE id = $1", [id]);
    for (const change of [
      "revoked_at = NULL",
      "revoked_at = now() + interval '1 hour'",
      "revocation_reason = 'POLICY'",
    ]) {
      await expect(node.sql(`UPDATE sessions SET ${change} WHERE id = $1`, [id])).rejects.toEqual(
        refusal("LL003"),
      );
    }
    expect(await events()).toEqual(["SESSION_CREATED", "SESSION_REVOKED REVOKED_BY_ADMIN"]);
  });

  test("a session keeps its user", async () => {
    const id = await insertSession();
    const statement =
      "UPDATE sessions SET user_id = (SELECT id FROM users WHERE id <> $2 LIMIT 1) WHERE id = $1";
    await expect(node.sql(statement, [id, userId])).rejects.toEqual(refusal("LL003"));
  });

  test("P2: users and sessions cannot be truncated, which would tell nobody", async () => {
    await expect(node.sql("TRUNCATE sessions")).rejects.toEqual(refusal("LL003"));
    await expect(node.sql("TRUNCATE users CASCADE")).rejects.toEqual(refusal("LL003"));
  });

  test.each([
    ["role", "'ADMIN'", "ROLE_CHANGED"],
    ["status", "'DEACTIVATED'", "USER_DEACTIVATED"],
    ["password_hash", "'another'", "PASSWORD_CHANGED"],
  ])(
    "P4: a change of %s ends all the user's sessions in the same transaction",
    async (column, value, reason) => {
      await insertSession();
      await insertSession();
      await node.sql(`UPDATE users SET ${column} = ${value} WHERE id = $1`, [userId]);
      expect(await events()).toEqual([
        "SESSION_CREATED",
        "SESSION_CREATED",
        `SESSION_REVOKED ${reason}`,
        `SESSION_REVOKED ${reason}`,
      ]);
      expect(await node.sql("SELECT credential_version FROM users WHERE id = $1", [userId])).toEqual([
        { credential_version: 2 },
      ]);
    },
  );

  test("P4: a change of a user that is rolled back ends no session", async () => {
    await insertSession();
    const statement = `DO $$ BEGIN UPDATE users SET role = 'ADMIN' WHERE id = '${userId}'; RAISE 'no'; END $$`;
    await expect(node.sql(statement)).rejects.toThrow("no");
    expect(await events()).toEqual(["SESSION_CREATED"]);
  });

  test("a change of credentials can spare one session, which every node then loads anew", async () => {
    const kept = await insertSession();
    await insertSession();
    await node.sql(
      `WITH settings AS MATERIALIZED (SELECT set_config('live_logout.keep_session', $2, true))
       UPDATE users SET password_hash = 'another' FROM settings WHERE id = $1`,
      [userId, kept],
    );
    expect((await events()).slice(2)).toEqual(["SESSION_REVOKED PASSWORD_CHANGED", "SESSION_CHANGED"]);
  });

  test("another hash of the same password ends nothing", async () => {
    await insertSession();
    await node.sql(
      `WITH settings AS MATERIALIZED (SELECT set_config('live_logout.same_password', 'on', true))
       UPDATE users SET password_hash = 'rehashed' FROM settings WHERE id = $1`,
      [userId],
    );
    expect(await events()).toEqual(["SESSION_CREATED"]);
    await insertSession();
  });

  test("a new name ends nothing, and every node loads the user's sessions anew", async () => {
    await insertSession();
    await node.sql("UPDATE users SET name = 'Eve' WHERE id = $1", [userId]);
    expect(await events()).toEqual(["SESSION_CREATED", "SESSION_CHANGED"]);
  });

  test("P5: a session from credentials that were changed meanwhile is never born", async () => {
    await node.sql("UPDATE users SET password_hash = 'another' WHERE id = $1", [userId]);
    await expect(insertSession(1)).rejects.toEqual(refusal("LL001"));
    await node.sql("UPDATE users SET status = 'DEACTIVATED' WHERE id = $1", [userId]);
    await expect(insertSession(3)).rejects.toEqual(refusal("LL001"));
    expect(await events()).toEqual([]);
  });

  test("nobody can set the version of credentials back", async () => {
    await node.sql("UPDATE users SET credential_version = 7 WHERE id = $1", [userId]);
    await insertSession(1);
  });

  test("the sessions of a deleted user end in the log", async () => {
    await insertSession();
    await node.sql("DELETE FROM users WHERE id = $1", [userId]);
    expect(await events()).toEqual(["SESSION_CREATED", "SESSION_REVOKED REVOKED_BY_ADMIN"]);
  });

  test("10 000 sessions end with one statement, each with its event", async () => {
    await node.sql(
      `INSERT INTO sessions (id, user_id, token_hash, credential_version, expires_at)
       SELECT gen_random_uuid(), $1::uuid, encode(sha256((g || $1::uuid::text)::bytea), 'hex'), 1, now() + interval '1 day'
       FROM generate_series(1, 10000) g`,
      [userId],
    );
    await node.sql("UPDATE sessions SET revoked_at = now() WHERE user_id = $1", [userId]);
    const rows = await node.sql(
      "SELECT count(*)::int AS count FROM session_event WHERE user_id = $1 AND type = 'SESSION_REVOKED'",
      [userId],
    );
    expect(rows).toEqual([{ count: 10_000 }]);
  });
});

describe("writers that meet on PostgreSQL", () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await createTestDatabase("postgres");
  });
  afterAll(() => database.remove());

  async function connect({ settings }: TestDatabase = database): Promise<pg.Client> {
    const client = new pg.Client({ connectionString: settings["DATABASE_URL"] });
    await client.connect();
    onTestFinished(() => client.end());
    return client;
  }
  async function insertUser(client: pg.Client): Promise<string> {
    const id = randomUUID();
    await client.query("INSERT INTO users (id, email, name, password_hash) VALUES ($1, $2, 'Ann', 'hash')", [
      id,
      `${id}@example.com`,
    ]);
    return id;
  }
  const INSERT_SESSION = `INSERT INTO sessions (id, user_id, token_hash, credential_version, expires_at)
    VALUES (gen_random_uuid(), $1, encode(sha256(gen_random_uuid()::text::bytea), 'hex'), 1, now() + interval '1 day')`;
  /** Resolves when the other client waits for a lock: the moment that a race is held open at. */
  async function isWaiting(observer: pg.Client, pid: number): Promise<void> {
    for (let attempt = 0; attempt < 10_000; attempt++) {
      const { rows } = await observer.query("SELECT wait_event_type FROM pg_stat_activity WHERE pid = $1", [
        pid,
      ]);
      if (rows[0]?.wait_event_type === "Lock") return;
    }
    throw new Error("it never waited");
  }
  async function backend(client: pg.Client): Promise<number> {
    return (await client.query("SELECT pg_backend_pid() AS pid")).rows[0].pid;
  }

  test("P2: an event with a lower id never appears after one with a higher id", async () => {
    const [slow, fast, reader] = [await connect(), await connect(), await connect()];
    const [one, other] = [await insertUser(reader), await insertUser(reader)];
    await slow.query("BEGIN");
    await slow.query(INSERT_SESSION, [one]);
    const fastPid = await backend(fast);
    const waiting = fast.query(INSERT_SESSION, [other]);
    await isWaiting(reader, fastPid);
    expect(
      (await reader.query("SELECT * FROM session_event WHERE user_id = ANY ($1)", [[one, other]])).rows,
    ).toEqual([]);

    await slow.query("COMMIT");
    await waiting;

    const { rows } = await reader.query(
      "SELECT user_id FROM session_event WHERE user_id = ANY ($1) ORDER BY id",
      [[one, other]],
    );
    expect(rows.map((row) => row.user_id)).toEqual([one, other]);
  });

  test("what changes of sessions that have ended does not wait for those who write the log", async () => {
    const [writer, other] = [await connect(), await connect()];
    const [one, theirs] = [await insertUser(writer), await insertUser(writer)];
    await writer.query(INSERT_SESSION, [theirs]);
    await writer.query("UPDATE sessions SET revoked_at = now() WHERE user_id = $1", [theirs]);
    await writer.query("BEGIN");
    await writer.query(INSERT_SESSION, [one]);
    await other.query("SET lock_timeout = '2s'");
    const { rowCount } = await other.query("UPDATE sessions SET ip_address = NULL WHERE user_id = $1", [
      theirs,
    ]);
    expect(rowCount).toBe(1);
    await writer.query("COMMIT");
  });

  test("is seen to skip an event by this very reading when the lock of the log is dropped", async () => {
    const unlocked = await createTestDatabase("postgres");
    onTestFinished(() => unlocked.remove());
    const [slow, fast, reader] = [await connect(unlocked), await connect(unlocked), await connect(unlocked)];
    await reader.query(
      `CREATE OR REPLACE FUNCTION session_event_in_commit_order() RETURNS trigger LANGUAGE plpgsql AS $$
       BEGIN PERFORM set_config('live_logout.log_head', '0:', true); RETURN NULL; END $$`,
    );
    const [one, other] = [await insertUser(reader), await insertUser(reader)];
    await slow.query("BEGIN");
    await slow.query(INSERT_SESSION, [one]);
    await fast.query(INSERT_SESSION, [other]);
    const { rows } = await reader.query("SELECT id, user_id FROM session_event");
    expect(rows).toMatchObject([{ user_id: other }]);
    await slow.query("COMMIT");
    expect((await reader.query("SELECT 1 FROM session_event")).rows).toHaveLength(2);
    // What the slow one wrote is behind the reader for ever.
    expect((await reader.query("SELECT 1 FROM session_event WHERE id > $1", [rows[0].id])).rows).toEqual([]);
  });

  test("P1: a notification says which session it is about, if its transaction wrote of one only", async () => {
    const [listener, writer] = [await connect(), await connect()];
    const heard: (string | undefined)[] = [];
    listener.on("notification", ({ payload }) => heard.push(payload));
    await listener.query("LISTEN live_logout");
    const userId = await insertUser(writer);
    const begin = async () => (await writer.query(`${INSERT_SESSION} RETURNING id`, [userId])).rows[0].id;
    const hear = async () => {
      // What was sent before it is there with the answer.
      await listener.query("SELECT 1");
      return heard.splice(0);
    };
    const one = await begin();
    expect(await hear()).toEqual([`${one} ${userId}`]);
    await writer.query("UPDATE sessions SET revoked_at = now() WHERE id = $1", [one]);
    expect(await hear()).toEqual([`${one} ${userId}`]);

    for (let count = 0; count < 2; count++) await begin();
    await hear();
    await writer.query("UPDATE users SET role = 'ADMIN' WHERE id = $1", [userId]);
    expect(await hear()).toEqual([""]);

    await writer.query("BEGIN");
    for (const id of [await insertUser(writer), await insertUser(writer)])
      await writer.query(INSERT_SESSION, [id]);
    await writer.query("COMMIT");
    expect(await hear()).toContain("");
  });

  test("P5: a login that meets a role change which is not yet committed waits for it, and is refused", async () => {
    const [administrator, login] = [await connect(), await connect()];
    const userId = await insertUser(administrator);
    await administrator.query("BEGIN");
    await administrator.query("UPDATE users SET role = 'ADMIN' WHERE id = $1", [userId]);
    const pid = await backend(login);
    const inserted = login.query(INSERT_SESSION, [userId]).catch((error) => error.code);
    await isWaiting(administrator, pid);
    await administrator.query("COMMIT");
    expect(await inserted).toBe("LL001");
  });

  test("P5: a role change that meets a login which is not yet committed waits for it, and ends it", async () => {
    const [administrator, login] = [await connect(), await connect()];
    const userId = await insertUser(administrator);
    await login.query("BEGIN");
    await login.query(INSERT_SESSION, [userId]);
    const pid = await backend(administrator);
    const changed = administrator.query("UPDATE users SET role = 'ADMIN' WHERE id = $1", [userId]);
    await isWaiting(login, pid);
    await login.query("COMMIT");
    await changed;
    const { rows } = await login.query("SELECT revocation_reason FROM sessions WHERE user_id = $1", [userId]);
    expect(rows).toEqual([{ revocation_reason: "ROLE_CHANGED" }]);
  });

  test("a transaction that would not see a session that just began may not change its user", async () => {
    const [administrator, login] = [await connect(), await connect()];
    const userId = await insertUser(login);
    await administrator.query("BEGIN ISOLATION LEVEL REPEATABLE READ");
    await administrator.query("SELECT 1 FROM users");
    await login.query(INSERT_SESSION, [userId]);
    const change = administrator.query("UPDATE users SET role = 'ADMIN' WHERE id = $1", [userId]);
    await expect(change).rejects.toEqual(expect.objectContaining({ code: "LL004" }));
  });
});
