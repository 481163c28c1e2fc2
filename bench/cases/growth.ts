import { setTimeout as pause } from "node:timers/promises";
import { now } from "../kit/clock.ts";
import { type BenchDatabase, createBenchDatabase, createSessions } from "../kit/database.ts";
import { NODE_SETTINGS } from "../kit/node-settings.ts";
import { atMost, type Case, percentile } from "../kit/report.ts";
import { type BenchProcess, startAll } from "../kit/server-process.ts";
import type { Closed, Opening } from "../kit/sockets.ts";

const NODES = [1, 2, 4];
const REVOCATIONS = 200;
const IDLE_S = 5;

export const growth: Case = {
  name: "growth",
  title: `${NODES.join(", ")} nodes on one PostgreSQL: revocations one after the other, and what an idle node costs`,
  async run() {
    const rows: { nodes: number; p50: number; p99: number; cpuMs: number; queries: number }[] = [];
    for (const nodes of NODES) rows.push({ nodes, ...(await measure(nodes)) });
    const [one, , four] = rows.map(({ p50 }) => p50) as [number, number, number];
    return {
      table: [
        ["nodes", "p50 ms from the commit", "p99 ms", "processor ms/s of an idle node", "its queries/s"],
        ...rows.map(({ nodes, p50, p99, cpuMs, queries }) => [nodes, p50, p99, cpuMs, queries]),
      ],
      // On two processors, which four nodes, PostgreSQL and the clients share.
      goals: [[atMost("p50 with four nodes, of that with one", 1.5, four / one)]],
    };
  },
};

async function measure(count: number) {
  const database = await createBenchDatabase();
  const { start, stop } = startAll();
  try {
    const settings = { ...NODE_SETTINGS, DATABASE_URL: database.url };
    const nodes: BenchProcess[] = [];
    for (let index = 0; index < count; index++) nodes.push(await start("node.ts", { settings }));
    const idle = await measureIdle(database, nodes);
    const sessions = await createSessions(database.sql, { users: REVOCATIONS, each: 1 });
    const clients = await start("kit/sockets.ts");
    // In turns on all of the nodes.
    for (const [index, { token }] of sessions.entries()) {
      const url = `${nodes[index % count]?.ready}/graphql`;
      await clients.ask("open", { url, manner: "graphql", tokens: [token] } satisfies Opening);
    }
    const latencies: number[] = [];
    for (const [index, { id }] of sessions.entries()) {
      const closed = clients.ask<Closed>("closed", index);
      await database.sql.query("UPDATE sessions SET revoked_at = now() WHERE id = $1", [id]);
      const committedAt = now();
      latencies.push(Math.max(0, (await closed).at - committedAt));
    }
    return { p50: percentile(latencies, 0.5), p99: percentile(latencies, 0.99), ...idle };
  } finally {
    await stop();
    await database.remove();
  }
}

/** What one node costs that has nothing to do. */
async function measureIdle({ sql }: BenchDatabase, nodes: readonly BenchProcess[]) {
  const transactions = async () =>
    Number(
      (await sql.query("SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()")).rows[0]
        .xact_commit,
    );
  const usage = () => Promise.all(nodes.map((node) => node.ask<number>("processorMs")));
  const [usedBefore, before] = [await usage(), await transactions()];
  await pause(IDLE_S * 1_000);
  const [usedAfter, after] = [await usage(), await transactions()];
  const cpuMs = usedAfter.reduce((sum, used, index) => sum + used - (usedBefore[index] ?? 0), 0);
  return { cpuMs: cpuMs / IDLE_S / nodes.length, queries: (after - before) / IDLE_S / nodes.length };
}
