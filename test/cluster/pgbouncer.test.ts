import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import pg from "pg";
import { describe, expect, onTestFinished, test } from "vitest";
import { RevokeAllSessionsDocument, ViewerDocument } from "../../src/client/generated/graphql.ts";
import { logIn, signUp, withToken } from "../kit/client.ts";
import { createTestDatabase, type TestDatabase } from "../kit/databases.ts";
import { eventually, within } from "../kit/deadline.ts";
import { removeFolder, temporaryFolder } from "../kit/folders.ts";
import { startTestNode, type TestNode } from "../kit/node.ts";
import { freePort } from "../kit/postgres-server.ts";
import { findProgram } from "../kit/program.ts";
import { subscribeByWebSocket } from "../kit/subscriber.ts";

const DOCUMENTATION = join(import.meta.dirname, "../../docs/deployment.md");
const PGBOUNCER = findProgram("pgbouncer", "nodes behind it are");

/** Fewer than there are clients, so that they do share. */
const SHARED_CONNECTIONS = 3;

/** Runs PgBouncer with the documented settings in front of a database until the test has finished; gives back the way over it. */
async function startPgBouncer({ settings }: TestDatabase): Promise<string> {
  const direct = new URL(settings["DATABASE_URL"] ?? "");
  const documented = /```ini\n([^`]*)```/.exec(await readFile(DOCUMENTATION, "utf8"))?.[1];
  const port = await freePort();
  const folder = await temporaryFolder("pgbouncer");
  onTestFinished(() => removeFolder(folder));
  // It does not run as root, and the user that it becomes reads its settings.
  await chmod(folder, 0o755);
  const file = join(folder, "pgbouncer.ini");
  const { hostname, port: serverPort, username, password } = direct;
  await writeFile(
    file,
    `[databases]
* = host=${hostname} port=${serverPort} user=${username} password=${password}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
default_pool_size = ${SHARED_CONNECTIONS}
${documented}`,
  );
  const asUser = process.getuid?.() === 0 ? ["-u", "postgres"] : [];
  const child = spawn(PGBOUNCER.path, [...asUser, file], { stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  child.stderr.on("data", (chunk) => {
    said += chunk;
  });
  const ended = once(child, "close");
  onTestFinished(async () => {
    child.kill("SIGKILL");
    await ended;
  });
  const url = Object.assign(new URL(direct), { port: String(port) }).href;
  const isReached = async () => {
    if (child.exitCode !== null) throw new Error(`PgBouncer ended: ${said}`);
    const client = new pg.Client({ connectionString: url });
    client.on("error", () => {});
    return client.connect().then(
      () => client.end().then(() => true),
      () => false,
    );
  };
  await eventually("PgBouncer takes connections", isReached);
  return url;
}

async function useDatabase(options?: { readonly empty: boolean }): Promise<TestDatabase> {
  const database = await createTestDatabase("postgres", options);
  onTestFinished(() => database.remove());
  return database;
}

/** Two nodes that start at the same time. */
async function startNodes(
  settings: Readonly<Record<string, string>>,
): Promise<readonly [TestNode, TestNode]> {
  const on: TestDatabase = { kind: "postgres", settings, remove: async () => {} };
  const start = async () => {
    const node = await startTestNode("postgres", { on });
    onTestFinished(() => node.stop());
    return node;
  };
  return Promise.all([start(), start()]);
}

describe.skipIf(PGBOUNCER.isMissing)(
  "nodes behind PgBouncer, which shares its connections between transactions",
  () => {
    test("push revocations over LISTEN_DATABASE_URL, and each is said to be whose it is", async () => {
      const database = await useDatabase();
      const direct = database.settings["DATABASE_URL"] ?? "";
      const nodes = await startNodes({
        ...database.settings,
        DATABASE_URL: await startPgBouncer(database),
        LISTEN_DATABASE_URL: direct,
      });
      const [one, other] = nodes;
      for (const { logged } of nodes) expect(logged.join("")).not.toContain("Set LISTEN_DATABASE_URL");
      const users = await Promise.all(Array.from({ length: 8 }, () => signUp(one.url)));
      const devices = await Promise.all(users.map((user) => logIn(other.url, user)));
      const subscribers = await Promise.all(
        devices.map(({ token }) => subscribeByWebSocket(other.url, token)),
      );
      await Promise.all(
        users.map((user) => user.run(RevokeAllSessionsDocument, { userId: null, exceptCurrent: true })),
      );
      for (const subscriber of subscribers) {
        expect(await subscriber.next()).toMatchObject({ reason: "REVOKED_BY_USER", current: true });
        expect(await within(5_000, "the close", subscriber.closed)).toMatchObject({ code: 4401 });
      }
      for (const user of users) expect((await user.run(ViewerDocument)).data?.viewer?.id).toBe(user.userId);
      // Who did it travels with a transaction, over connections that all of them used.
      expect(await one.sql("SELECT FROM session_event WHERE actor_id <> user_id")).toEqual([]);
      await one.sql("UPDATE sessions SET revoked_at = now() WHERE revoked_at IS NULL");
      const byNobody =
        "SELECT user_id FROM session_event WHERE reason = 'REVOKED_BY_ADMIN' AND actor_id IS NULL";
      expect(await one.sql(byNobody)).toHaveLength(users.length);
    });

    test("without it start together on an empty database, warn, and miss no revocation (P2)", async () => {
      const database = await useDatabase({ empty: true });
      const nodes = await startNodes({ ...database.settings, DATABASE_URL: await startPgBouncer(database) });
      const [one, other] = nodes;
      for (const { logged } of nodes) expect(logged.join("")).toContain("Set LISTEN_DATABASE_URL");
      const user = await signUp(one.url);
      for (let count = 0; count < 3; count++) {
        const device = await logIn(other.url, user);
        const subscriber = await subscribeByWebSocket(other.url, device.token);
        await user.run(RevokeAllSessionsDocument, { userId: null, exceptCurrent: true });
        expect(await subscriber.next()).toMatchObject({ reason: "REVOKED_BY_USER", current: true });
        expect(await within(5_000, "the close", subscriber.closed)).toMatchObject({ code: 4401 });
      }
      await one.sql("UPDATE users SET role = 'SUPPORT' WHERE id = $1", [user.userId]);
      for (const { url } of nodes) {
        await eventually("the role's change ends the session", async () => {
          const { errors } = await withToken(url, user.token).run(ViewerDocument);
          return errors[0]?.extensions?.["reason"] === "ROLE_CHANGED";
        });
      }
      for (const { logged } of nodes) expect(logged.join("")).not.toContain("the database is in trouble");
    });
  },
);
