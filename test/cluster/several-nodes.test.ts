import { cp, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import pg from "pg";
import { describe, expect, onTestFinished, test } from "vitest";
import { LogoutDocument, ViewerDocument } from "../../src/client/generated/graphql.ts";
import { MIGRATIONS_FOLDER, migrate } from "../../src/database/migrate.ts";
import { openPostgres } from "../../src/database/postgres.ts";
import { logIn, signUp, type TestUser, withToken } from "../kit/client.ts";
import { createTestDatabase, type TestDatabase } from "../kit/databases.ts";
import { eventually, within } from "../kit/deadline.ts";
import { removeFolder, temporaryFolder } from "../kit/folders.ts";
import { ADMIN, startTestNode } from "../kit/node.ts";
import { startProcess } from "../kit/process.ts";
import { subscribeByWebSocket } from "../kit/subscriber.ts";

const HOUR_MS = 3_600_000;

async function useDatabase(): Promise<TestDatabase> {
  const database = await createTestDatabase("postgres");
  onTestFinished(() => database.remove());
  return database;
}

async function connect(database: TestDatabase): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: database.settings["DATABASE_URL"] });
  client.on("error", () => {});
  await client.connect();
  onTestFinished(() => client.end());
  return client;
}

async function isServed(url: string, user: TestUser): Promise<boolean> {
  return (await withToken(url, user.token).run(ViewerDocument)).data?.viewer?.id === user.userId;
}

describe("a node whose wall clock is wrong", () => {
  test.each([
    ["an hour fast", HOUR_MS],
    ["an hour slow", -HOUR_MS],
  ])(
    "by %s ends sessions by the database's time, neither early nor late",
    async (_what, shiftMs) => {
      const database = await useDatabase();
      const folder = await temporaryFolder("clock");
      onTestFinished(() => removeFolder(folder));
      const preload = join(folder, "wrong-clock.mjs");
      // Everything that JavaScript knows of the wall clock; the monotonic clock is as it was.
      await writeFile(
        preload,
        `const Right = Date;
       globalThis.Date = class Date extends Right {
         constructor(...given) { given.length > 0 ? super(...given) : super(Right.now() + ${shiftMs}); }
         static now() { return Right.now() + ${shiftMs}; }
       };`,
      );
      const settings = { ...database.settings, ADMIN_EMAIL: ADMIN.email, ADMIN_PASSWORD: ADMIN.password };
      const wrong = startProcess(
        { ...settings, SESSION_TTL: "10m", SESSION_IDLE_TIMEOUT: "5m" },
        { nodeOptions: ["--import", preload] },
      );
      const url = await wrong.ready();
      const sql = await connect(database);

      const user = await signUp(url);
      const { rows } = await sql.query(
        "SELECT abs(extract(epoch FROM expires_at - now()) - 600) < 60 AS is_right FROM sessions WHERE id = $1",
        [user.sessionId],
      );
      expect(rows).toEqual([{ is_right: true }]);
      expect(await isServed(url, user)).toBe(true);

      const subscriber = await subscribeByWebSocket(url, user.token);
      await sql.query(
        "UPDATE sessions SET expires_at = clock_timestamp() + interval '1500 ms' WHERE id = $1",
        [user.sessionId],
      );
      expect(await within(5_000, "the end", subscriber.next())).toMatchObject({ reason: "EXPIRED" });
      const ended = await sql.query(
        `SELECT revoked_at >= expires_at AS is_not_early, revoked_at < expires_at + interval '1 s' AS is_not_late
       FROM sessions WHERE id = $1`,
        [user.sessionId],
      );
      expect(ended.rows).toEqual([{ is_not_early: true, is_not_late: true }]);

      const idle = await logIn(url, user);
      expect(await isServed(url, idle)).toBe(true);
      const [seen] = (
        await sql.query(
          "SELECT last_seen_at <= clock_timestamp() AS is_not_of_the_future FROM sessions WHERE id = $1",
          [idle.sessionId],
        )
      ).rows;
      expect(seen).toEqual({ is_not_of_the_future: true });
    },
    60_000,
  );
});

describe("LISTEN_DATABASE_URL", () => {
  test("must lead to the same database, or every revocation would be missed", async () => {
    const [one, another] = [await useDatabase(), await useDatabase()];
    const settings = { LISTEN_DATABASE_URL: another.settings["DATABASE_URL"] ?? "" };
    await expect(startTestNode("postgres", { on: one, settings })).rejects.toThrow(
      "LISTEN_DATABASE_URL and DATABASE_URL do not lead to the same database.",
    );
  });

  test("is what the tail and the lock of migrations go over", async () => {
    const database = await useDatabase();
    const url = new URL(database.settings["DATABASE_URL"] ?? "");
    url.searchParams.set("options", "-c statement_timeout=12345");
    const settings = { LISTEN_DATABASE_URL: url.href };
    const node = await startTestNode("postgres", { on: database, settings });
    onTestFinished(() => node.stop());
    const user = await signUp(node.url);
    const subscriber = await subscribeByWebSocket(node.url, user.token);
    await user.run(LogoutDocument);
    expect(await subscriber.next()).toMatchObject({ reason: "LOGOUT" });
  });
});

test("a node that starts waits for another's migration longer than a lock_timeout that the role has", async () => {
  const database = await useDatabase();
  const url = new URL(database.settings["DATABASE_URL"] ?? "");
  url.searchParams.set("options", "-c lock_timeout=50");
  const migrating = await connect(database);
  await migrating.query("BEGIN");
  await migrating.query("SELECT pg_advisory_xact_lock(hashtextextended('live_logout.migrate', 0))");
  const starting = startTestNode("postgres", {
    on: { ...database, settings: { ...database.settings, DATABASE_URL: url.href } },
  });
  onTestFinished(() => starting.then((node) => node.stop()));
  const watcher = await connect(database);
  const waitsLonger = async () => {
    const { rows } = await watcher.query(
      `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
       AND state_change < clock_timestamp() - interval '200 ms'`,
    );
    return rows.length > 0;
  };
  await Promise.race([starting, eventually("it waits", waitsLonger)]);
  await migrating.query("COMMIT");
  expect((await signUp((await starting).url)).token).toBeTruthy();
});

describe("P5: a login that waits between the password's verification and its session", () => {
  /** Holds the user's row, so that whoever has verified a password waits with the session for what comes of it. */
  async function logInWhile(change: string): Promise<{ readonly outcome: string; readonly isLive: boolean }> {
    const database = await useDatabase();
    const node = await startTestNode("postgres", { on: database });
    onTestFinished(() => node.stop());
    const user = await signUp(node.url);
    const holder = await connect(database);
    await holder.query("BEGIN");
    await holder.query(change, [user.userId]);
    const login = withToken(node.url, "").run<{ login: { __typename: string; token?: string } }, unknown>(
      `mutation { login(input: { email: "${user.email}", password: "${user.password}", returnToken: true }) {
        __typename ... on LoginSuccess { token } } }`,
    );
    const watcher = await connect(database);
    const waits = async () => {
      const { rows } = await watcher.query(
        `SELECT count(*)::int AS waiting FROM pg_stat_activity
         WHERE datname = current_database() AND wait_event_type = 'Lock' AND application_name = 'live-logout'`,
      );
      return rows[0]?.waiting > 0;
    };
    await eventually("the login waits for the user's row", waits);
    await holder.query("COMMIT");
    const { data } = await login;
    const { rows } = await watcher.query(
      `SELECT count(*)::int AS stillborn FROM sessions JOIN users ON users.id = user_id
       WHERE revoked_at IS NULL AND sessions.credential_version <> users.credential_version`,
    );
    expect(rows).toEqual([{ stillborn: 0 }]);
    const token = data?.login.token;
    const isLive = token !== undefined && (await isServed(node.url, { ...user, token }));
    return { outcome: data?.login.__typename ?? "", isLive };
  }

  test("gets none when the password was changed", async () => {
    const change = "UPDATE users SET password_hash = 'another' WHERE id = $1";
    expect(await logInWhile(change)).toEqual({ outcome: "InvalidCredentialsError", isLive: false });
  });

  test("gets none when the user was deactivated", async () => {
    const change = "UPDATE users SET status = 'DEACTIVATED' WHERE id = $1";
    expect(await logInWhile(change)).toEqual({ outcome: "InvalidCredentialsError", isLive: false });
  });

  test("is verified anew when the role was changed, and gets one of the new role", async () => {
    const change = "UPDATE users SET role = 'SUPPORT' WHERE id = $1";
    expect(await logInWhile(change)).toEqual({ outcome: "LoginSuccess", isLive: true });
  });
});

describe("a migration of a newer version", () => {
  test("while an older node serves logs nobody out, and revocations go on", async () => {
    const database = await useDatabase();
    const older = await startTestNode("postgres", { on: database });
    onTestFinished(() => older.stop());
    const [user, other] = [await signUp(older.url), await signUp(older.url)];
    const subscriber = await subscribeByWebSocket(older.url, other.token);

    const folder = await temporaryFolder("migrations");
    onTestFinished(() => removeFolder(folder));
    await cp(MIGRATIONS_FOLDER, folder, { recursive: true });
    await mkdir(join(folder, "99990101000000_newer"));
    await writeFile(
      join(folder, "99990101000000_newer", "migration.sql"),
      `ALTER TABLE users ADD COLUMN nickname TEXT NOT NULL DEFAULT '';
       ALTER TABLE sessions ADD COLUMN country TEXT;
       ALTER TABLE session_event ADD COLUMN remark TEXT;`,
    );
    let isMigrating = true;
    const outcomes = new Set<boolean>();
    const using = (async () => {
      while (isMigrating) outcomes.add(await isServed(older.url, user));
    })();
    const newer = await openPostgres(database.settings["DATABASE_URL"] ?? "", { onError: () => {} });
    expect(await migrate(newer, folder)).toEqual(["99990101000000_newer"]);
    await newer.close();
    isMigrating = false;
    await using;

    expect(outcomes).toEqual(new Set([true]));
    expect((await logIn(older.url, user)).userId).toBe(user.userId);
    await other.run(LogoutDocument);
    expect(await subscriber.next()).toMatchObject({ reason: "LOGOUT", current: true });
    // An older version does not start on it, because it does not know what else would have to be kept up.
    await expect(startTestNode("postgres", { on: database })).rejects.toThrow("is newer than this version");
  }, 60_000);

  test("and an event of a type and a reason that an older node does not know stop nothing", async () => {
    const database = await useDatabase();
    const node = await startTestNode("postgres", { on: database });
    onTestFinished(() => node.stop());
    const user = await signUp(node.url);
    const subscriber = await subscribeByWebSocket(node.url, user.token);
    await node.sql(
      "INSERT INTO session_event (type, session_id, user_id, reason) VALUES ('SESSION_BLESSED', $1, $2, 'FUTURE')",
      [user.sessionId, user.userId],
    );
    expect(await isServed(node.url, user)).toBe(true);
    await node.sql(
      "UPDATE sessions SET revoked_at = now(), revocation_reason = 'FUTURE_REASON' WHERE id = $1",
      [user.sessionId],
    );
    expect(await subscriber.next()).toMatchObject({ reason: "REVOKED_BY_ADMIN", current: true });
  });
});
