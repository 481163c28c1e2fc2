import { setTimeout as pause } from "node:timers/promises";
import { now } from "../kit/clock.ts";
import { type BenchDatabase, createBenchDatabase, createSessions } from "../kit/database.ts";
import { NODE_SETTINGS } from "../kit/node-settings.ts";
import { atMost, type Case, percentile } from "../kit/report.ts";
import { type BenchProcess, startAll } from "../kit/server-process.ts";
import type { Closed, Opening } from "../kit/sockets.ts";

const NODES = [1, 2, 4];
const REVOCATIONS = 200;
const SETTLING_S = 3;
const IDLE_S = 5;

export const growth: Case = {
  name: "growth",
  title: `${NODES.join(", ")} nodes on one PostgreSQL: revocations one after the other, and what an idle node costs`,
  async run() {
    const clusters: Cluster[] = [];
    try {
      for (const nodes of NODES) clusters.push(await startCluster(nodes));
      // Its statistics tell late what PostgreSQL has done.
      await pause(SETTLING_S * 1_000);
      const idle = await measureIdle(clusters);
      const latencies = clusters.map((): number[] => []);
      // In turns, so that whatever else the machine does hits all of them alike.
      for (let turn = 0; turn < REVOCATIONS; turn++) {
        for (const [index, cluster] of clusters.entries()) latencies[index]?.push(await cluster.revoke(turn));
      }
      const p50 = latencies.map((all) => percentile(all, 0.5));
      const [one, , four] = p50 as [number, number, number];
      return {
        table: [
          ["nodes", "p50 ms from the commit", "p99 ms", "processor ms/s of an idle node", "its queries/s"],
          ...clusters.map(({ nodes }, index) => [
            nodes.length,
            p50[index] ?? Number.NaN,
            percentile(latencies[index] ?? [], 0.99),
            idle[index]?.cpuMs ?? Number.NaN,
            idle[index]?.queries ?? Number.NaN,
          ]),
        ],
        // On two processors, which all nodes, PostgreSQL and the clients share.
        goals: [[atMost("p50 with four nodes, of that with one", 1.5, four / one)]],
      };
    } finally {
      for (const { stop } of clusters) await stop();
    }
  },
};

interface Cluster {
  readonly nodes: readonly BenchProcess[];
  readonly database: BenchDatabase;
  /** Ends this one of its sessions; milliseconds from the commit to the closed socket. */
  readonly revoke: (index: number) => Promise<number>;
  readonly stop: () => Promise<void>;
}

/** So many nodes on a database of their own, with a client for each session that is to be ended, in turns on all of the nodes. */
async function startCluster(count: number): Promise<Cluster> {
  const database = await createBenchDatabase();
  const { start, stop: stopAll } = startAll();
  const stop = async () => {
    await stopAll();
    await database.remove();
  };
  try {
    const settings = { ...NODE_SETTINGS, DATABASE_URL: database.url };
    const nodes: BenchProcess[] = [];
    for (let index = 0; index < count; index++) nodes.push(await start("node.ts", { settings }));
    const sessions = await createSessions(database.sql, { users: REVOCATIONS, each: 1 });
    const clients = await start("kit/sockets.ts");
    for (const [index, { token }] of sessions.entries()) {
      const url = `${nodes[index % count]?.ready}/graphql`;
      await clients.ask("open", { url, manner: "graphql", tokens: [token] } satisfies Opening);
    }
    return {
      nodes,
      database,
      async revoke(index) {
        const closed = clients.ask<Closed>("closed", index);
        await database.sql.query("UPDATE sessions SET revoked_at = now() WHERE id = $1", [
          sessions[index]?.id,
        ]);
        const committedAt = now();
        return Math.max(0, (await closed).at - committedAt);
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** What one node of each costs that has nothing to do but to hold its clients. */
async function measureIdle(clusters: readonly Cluster[]) {
  const look = () =>
    Promise.all(
      clusters.map(async ({ nodes, database }) => {
        const { rows } = await database.sql.query(
          "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()",
        );
        const used = await Promise.all(nodes.map((node) => node.ask<number>("processorMs")));
        return { queries: Number(rows[0].xact_commit), cpuMs: used.reduce((sum, each) => sum + each, 0) };
      }),
    );
  const before = await look();
  await pause(IDLE_S * 1_000);
  const after = await look();
  return clusters.map(({ nodes }, index) => {
    const perSecond = (of: "cpuMs" | "queries") =>
      ((after[index]?.[of] ?? Number.NaN) - (before[index]?.[of] ?? Number.NaN)) / IDLE_S / nodes.length;
    return { cpuMs: perSecond("cpuMs"), queries: perSecond("queries") };
  });
}
