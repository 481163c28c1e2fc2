import { randomUUID } from "node:crypto";
import { chmod, readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { join } from "node:path";
import pg from "pg";
import { describe, expect, inject, onTestFinished, test } from "vitest";
import { ViewerDocument } from "../../src/client/generated/graphql.ts";
import { openEmbedded } from "../../src/database/embedded.ts";
import { migrate, schemaDrift } from "../../src/database/migrate.ts";
import { openPostgres } from "../../src/database/postgres.ts";
import { logIn, signUp, withToken } from "../kit/client.ts";
import { createTestDatabase, DATABASES } from "../kit/databases.ts";
import { eventually, within } from "../kit/deadline.ts";
import { removeFolder, temporaryFolder } from "../kit/folders.ts";
import { startTestNode } from "../kit/node.ts";
import { startProcess } from "../kit/process.ts";
import { openRawWebSocket } from "../kit/raw-websocket.ts";
import { subscribeBySse } from "../kit/subscriber.ts";

async function useFolder(): Promise<string> {
  const folder = await temporaryFolder("start");
  onTestFinished(() => removeFolder(folder));
  return folder;
}

describe("starting the service", () => {
  test("on nothing at all prints where it is, its data, and the first administrator's password, once", async () => {
    const folder = await useFolder();
    const first = startProcess({ DATA_DIR: folder });
    const url = await first.ready();
    const { stdout, stderr } = first.output();
    expect(stdout).toContain(`embedded in ${folder}`);
    const password = /password, shown this once: (\S+)/.exec(stdout)?.[1] ?? "";
    const admin = await logIn(url, { email: "admin@localhost", password });
    expect(stderr).not.toContain(password);

    first.child.kill("SIGTERM");
    expect(await within(10_000, "the end", first.exited)).toEqual({ code: 0, signal: null });

    const second = startProcess({ DATA_DIR: folder });
    const secondUrl = await second.ready();
    expect(second.output().stdout).not.toContain("password");
    expect((await withToken(secondUrl, admin.token).run(ViewerDocument)).data?.viewer?.role).toBe("ADMIN");
  });

  test("again after a kill -9 finds every session that was acknowledged, and the folder free", async () => {
    const folder = await useFolder();
    const first = startProcess({ DATA_DIR: folder });
    const user = await signUp(await first.ready());
    first.child.kill("SIGKILL");
    await first.exited;
    const url = await startProcess({ DATA_DIR: folder }).ready();
    expect((await withToken(url, user.token).run(ViewerDocument)).data?.viewer?.id).toBe(user.userId);
  });

  async function refused(settings: Record<string, string>): Promise<string> {
    const service = startProcess(settings);
    expect(await within(30_000, "the end", service.exited)).toEqual({ code: 1, signal: null });
    const { stdout, stderr } = service.output();
    expect(stdout).toBe("");
    // A message for the operator, not a stack.
    expect(stderr).not.toMatch(/^\s+at /m);
    return stderr;
  }

  test("on a folder that another process uses is refused, naming both", async () => {
    const folder = await useFolder();
    const holder = startProcess({ DATA_DIR: folder });
    const url = await holder.ready();
    expect(await refused({ DATA_DIR: folder })).toContain(
      `The folder ${folder} is in use by process ${holder.child.pid}`,
    );
    expect((await signUp(url)).userId).toBeTruthy();
  });

  test("on a port that is in use is refused, naming it", async () => {
    const other = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => other.once("listening", resolve));
    onTestFinished(() => void other.close());
    const address = other.address();
    const port = String(typeof address === "object" && address ? address.port : 0);
    const database = await createTestDatabase("embedded");
    onTestFinished(() => database.remove());
    expect(await refused({ ...database.settings, PORT: port })).toContain(`Port ${port} is in use`);
  });

  test("on a folder that cannot be written is refused, naming it", async () => {
    const folder = await useFolder();
    const file = join(folder, "file");
    await writeFile(file, "kept");
    expect(await refused({ DATA_DIR: join(file, "data") })).toContain(
      `Cannot keep data in ${join(file, "data")}`,
    );
    expect(await readFile(file, "utf8")).toBe("kept");
    if (process.getuid?.() !== 0) {
      await chmod(folder, 0o500);
      expect(await refused({ DATA_DIR: join(folder, "data") })).toContain("Cannot keep data in");
    }
  });

  test.each([
    ["a server that is not there", () => "postgresql://someone:secret@127.0.0.1:1/app", /ECONNREFUSED/],
    ["a database that does not exist", () => `${inject("postgresUrl")}/nothing`, /"nothing" does not exist/],
    [
      "a wrong password",
      () => `${inject("postgresUrl").replace(":postgres@", ":secret@")}/postgres`,
      /password authentication failed/,
    ],
  ])("on %s is refused, without telling the password", async (_name, url, reason) => {
    const message = await refused({ DATABASE_URL: url() });
    expect(message).toMatch(reason);
    expect(message).toContain("Check DATABASE_URL");
    expect(message).not.toContain("secret");
  });

  test("with bad settings is refused, naming all of them", async () => {
    const message = await refused({
      PORT: "99999",
      SESSION_TTL: "5x",
      DATABASE_URL: "mysql://root:secret@host/app",
    });
    expect(message).toMatch(/PORT must be.*\n.*DATABASE_URL must be.*\n.*SESSION_TTL must be/);
    expect(message).not.toContain("secret");
  });
});

describe("stopping the service", () => {
  test("P7: finishes requests, closes every client with 1012, logs nobody out, and exits with 0", async () => {
    const database = await createTestDatabase("postgres");
    onTestFinished(() => database.remove());
    const service = startProcess({ ...database.settings, DRAIN_MS: "4000" });
    const url = await service.ready();
    const user = await signUp(url);
    const clients = await Promise.all(
      Array.from({ length: 100 }, async () => {
        const client = await openRawWebSocket(url);
        client.send({ type: "connection_init", payload: { authorization: `Bearer ${user.token}` } });
        await client.next("connection_ack");
        client.send({
          type: "subscribe",
          id: "1",
          payload: { query: "subscription { sessionRevoked { reason } }" },
        });
        return client;
      }),
    );
    const stream = await subscribeBySse(url, user.token);
    const holder = new pg.Client({ connectionString: database.settings["DATABASE_URL"] });
    await holder.connect();
    onTestFinished(() => holder.end());
    await holder.query("BEGIN");
    await holder.query("LOCK TABLE users IN ACCESS EXCLUSIVE MODE");
    const running = user.run("{ mySessions { id } }");
    await eventually("the request waits for the users", async () => {
      const waiting = "SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'users'::regclass";
      return (await holder.query(waiting)).rowCount === 1;
    });

    service.child.kill("SIGTERM");
    for (const client of clients) {
      expect(await client.next("close")).toEqual({ kind: "close", code: 1012, reason: "Service restart" });
      expect(client.received.filter((item) => item.kind === "message")).toHaveLength(1);
      client.socket.destroy();
    }
    await holder.query("COMMIT");

    expect((await within(5_000, "the answer", running)).errors).toEqual([]);
    expect(await within(5_000, "the end of the stream", stream.ended)).not.toBe("complete");
    expect(await within(10_000, "the end", service.exited)).toEqual({ code: 0, signal: null });
    const { rows } = await holder.query("SELECT revoked_at FROM sessions WHERE id = $1", [user.sessionId]);
    expect(rows).toEqual([{ revoked_at: null }]);
  });
});

describe("migrations", () => {
  test("of two nodes that start at once on an empty database run once", async () => {
    const database = await createTestDatabase("postgres", { empty: true });
    onTestFinished(() => database.remove());
    const nodes = await Promise.all([
      startTestNode("postgres", { on: database }),
      startTestNode("postgres", { on: database }),
    ]);
    for (const node of nodes) onTestFinished(() => node.stop());
    expect(nodes.filter((node) => node.firstAdministrator)).toHaveLength(1);
    const user = await signUp(nodes[0].url);
    expect((await withToken(nodes[1].url, user.token).run(ViewerDocument)).data?.viewer?.id).toBe(
      user.userId,
    );
  });

  test.each(DATABASES)(
    "that a newer version made are refused on the %s database, and nothing is changed",
    async (kind) => {
      const database = await createTestDatabase(kind);
      onTestFinished(() => database.remove());
      const node = await startTestNode(kind, { on: database });
      await node.sql(
        "INSERT INTO _prisma_migrations (id, checksum, finished_at, migration_name) VALUES ($1, '', now(), '29991231000000_future')",
        [randomUUID()],
      );
      await node.stop();
      await expect(startTestNode(kind, { on: database })).rejects.toThrow(
        /newer than this version of live-logout: it has the migration 29991231000000_future/,
      );
    },
  );

  test("make what schema.prisma says", async () => {
    const database = await openEmbedded(await useFolder(), {});
    onTestFinished(() => database.close());
    expect(await schemaDrift(database)).toBe("");
  });

  test("that fail say what failed, leave nothing behind, and are repeated at the next start", async () => {
    const database = await createTestDatabase("postgres", { empty: true });
    onTestFinished(() => database.remove());
    const opened = await openPostgres(database.settings["DATABASE_URL"] ?? "", { onError: () => {} });
    onTestFinished(() => opened.close());
    // In the way of the migration's last statements.
    await opened.prisma
      .$executeRaw`CREATE FUNCTION users_end_sessions() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN END'`;
    await expect(migrate(opened)).rejects.toThrow(
      /cannot be migrated: function "users_end_sessions" already exists/,
    );
    expect(await opened.prisma.$queryRaw`SELECT to_regclass('users')::text AS users`).toEqual([
      { users: null },
    ]);

    await opened.prisma.$executeRaw`DROP FUNCTION users_end_sessions()`;
    expect((await migrate(opened))[0]).toBe("20261121000000_sessions");
  });
});
