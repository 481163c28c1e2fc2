import { execFile } from "node:child_process";
import { readdir } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import process from "node:process";
import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";
import pg from "pg";
import { describe, expect, onTestFinished, test } from "vitest";
import { ViewerDocument } from "../../src/client/generated/graphql.ts";
import { signUp } from "../kit/client.ts";
import { createTestDatabase } from "../kit/databases.ts";
import { eventually, within } from "../kit/deadline.ts";
import { createPostgresServer } from "../kit/postgres-server.ts";
import { startProcess } from "../kit/process.ts";
import { subscribeByWebSocket } from "../kit/subscriber.ts";

const run = promisify(execFile);

/** Keeps the event loop busy for as long as the signal says, as a long synchronous computation or a collection of garbage does. */
const BLOCKER = `process.on("SIGUSR2", () => { for (const end = performance.now() + 4_000; performance.now() < end;); });`;

async function useProcess(settings: Readonly<Record<string, string>> = {}) {
  const database = await createTestDatabase("postgres");
  onTestFinished(() => database.remove());
  const service = startProcess(
    { ...database.settings, ...settings },
    { nodeOptions: ["--import", `data:text/javascript,${encodeURIComponent(BLOCKER)}`] },
  );
  const url = await service.ready();
  const sql = new pg.Client({ connectionString: database.settings["DATABASE_URL"] });
  await sql.connect();
  onTestFinished(() => sql.end());
  return { service, url, sql };
}

describe("a node whose event loop is blocked", () => {
  test("past the bound answers nothing from memory of what came meanwhile (P3)", async () => {
    const { service, url, sql } = await useProcess({ REVOCATION_BOUND_MS: "2000" });
    const user = await signUp(url);
    const other = await signUp(url);
    expect((await user.run(ViewerDocument)).data?.viewer?.id).toBe(user.userId);
    const subscriber = await subscribeByWebSocket(url, user.token);

    service.child.kill("SIGUSR2");
    await pause(500);
    await sql.query("UPDATE sessions SET revoked_at = now() WHERE id = $1", [user.sessionId]);
    // They wait in the node's socket buffers when it wakes, before its timers and before the log.
    const asked = Array.from({ length: 5 }, () => user.run(ViewerDocument));
    const othersAnswer = other.run(ViewerDocument);
    for (const answer of await within(20_000, "the answers", Promise.all(asked))) {
      expect(answer.data?.viewer ?? null).toBeNull();
    }
    expect([200, 503]).toContain((await othersAnswer).status);
    expect([4401, 1013]).toContain((await within(10_000, "the close", subscriber.closed)).code);
    await eventually(
      "the others are served again",
      async () => (await other.run(ViewerDocument)).data?.viewer?.id === other.userId,
    );
  });

  test("within the bound catches up, and nobody notices but by the wait", async () => {
    const { service, url } = await useProcess({ REVOCATION_BOUND_MS: "60000" });
    const user = await signUp(url);
    const subscriber = await subscribeByWebSocket(url, user.token);
    service.child.kill("SIGUSR2");
    await pause(500);
    expect((await user.run(ViewerDocument)).data?.viewer?.id).toBe(user.userId);
    expect(subscriber.history).toEqual(["connecting", "connected"]);
  });
});

describe("a node that has no file descriptor left", () => {
  test.skipIf(process.platform !== "linux")(
    "goes on with those whom it has, and takes others again once it can",
    async () => {
      const { service, url, sql } = await useProcess();
      const pid = String(service.child.pid);
      const user = await signUp(url);
      const subscriber = await subscribeByWebSocket(url, user.token);
      const open = (await readdir(`/proc/${pid}/fd`)).length;
      await run("prlimit", [`--nofile=${open + 10}:${open + 10}`, "--pid", pid]);

      const { hostname, port } = new URL(url);
      const crowd: Socket[] = [];
      onTestFinished(() => {
        for (const socket of crowd) socket.destroy();
      });
      for (let count = 0; count < 60; count++) {
        const socket = connect(Number(port), hostname);
        socket.on("error", () => {});
        crowd.push(socket);
      }
      await eventually("none is left", async () => (await readdir(`/proc/${pid}/fd`)).length >= open + 9);
      await sql.query("UPDATE sessions SET revoked_at = now() WHERE id = $1", [user.sessionId]);
      expect(await subscriber.next()).toMatchObject({ reason: "REVOKED_BY_ADMIN", current: true });
      expect((await within(5_000, "the close", subscriber.closed)).code).toBe(4401);

      for (const socket of crowd) socket.destroy();
      await eventually(
        "others are served",
        async () => (await signUp(url).catch(() => undefined)) !== undefined,
        20_000,
      );
      expect(service.child.exitCode).toBeNull();
    },
  );
});

describe("a node whose database has no connection left to give", () => {
  test("goes on with what it has: revocations are told, the rest is answered or refused, and nothing stays broken", async () => {
    const server = await createPostgresServer(["-c", "max_connections=20"]);
    onTestFinished(() => server.remove());
    await server.start();
    await server.query("postgres", "CREATE DATABASE crowded");
    const databaseUrl = `${server.url}/crowded`;
    const service = startProcess({ DATABASE_URL: databaseUrl });
    const url = await service.ready();
    const user = await signUp(url);
    const subscriber = await subscribeByWebSocket(url, user.token);
    const sql = new pg.Client({ connectionString: databaseUrl });
    await sql.connect();

    // Until the server refuses one more, which is not before all of its reserved ones are gone too.
    const crowd: pg.Client[] = [];
    let isFull = false;
    while (!isFull) {
      const client = new pg.Client({ connectionString: databaseUrl });
      client.on("error", () => {});
      try {
        await client.connect();
        crowd.push(client);
        client.query("SELECT pg_sleep(600)").catch(() => {});
      } catch (error) {
        expect(error).toMatchObject({ code: "53300" });
        isFull = true;
      }
    }
    onTestFinished(async () => {
      await Promise.all(crowd.map((client) => client.end().catch(() => {})));
    });
    expect(crowd.length).toBeGreaterThan(5);

    // From memory; whatever needs a connection that cannot be had says so, or gets one that the pool has.
    expect((await user.run(ViewerDocument)).data?.viewer?.id).toBe(user.userId);
    const attempts = await Promise.allSettled(Array.from({ length: 10 }, () => signUp(url)));
    for (const attempt of attempts) {
      if (attempt.status === "rejected") expect(String(attempt.reason)).toContain("SERVICE_UNAVAILABLE");
    }
    // The tail has a connection of its own.
    await sql.query("UPDATE sessions SET revoked_at = now() WHERE id = $1", [user.sessionId]);
    expect(await subscriber.next()).toMatchObject({ reason: "REVOKED_BY_ADMIN", current: true });
    expect((await within(5_000, "the close", subscriber.closed)).code).toBe(4401);

    await sql.query(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND pid <> pg_backend_pid()",
    );
    await sql.end();
    await eventually(
      "others are served",
      async () => (await signUp(url).catch(() => undefined)) !== undefined,
      20_000,
    );
    expect(service.child.exitCode).toBeNull();
    service.child.kill("SIGTERM");
    await service.exited;
  }, 90_000);
});
