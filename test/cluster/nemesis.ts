import process from "node:process";
import { setTimeout as pause } from "node:timers/promises";
import pg from "pg";
import { eventually } from "../kit/deadline.ts";
import type { PathState, TcpProxy } from "../kit/tcp-proxy.ts";
import { type Cluster, type ClusterNode, DATABASE, untilExit } from "./cluster.ts";
import type { History } from "./history.ts";
import type { Random } from "./random.ts";

interface World {
  readonly cluster: Cluster;
  readonly random: Random;
  readonly boundMs: number;
  readonly history: History;
}

/** Something that goes wrong and is mended again, on one node or on all. */
interface FaultKind {
  readonly isPartition?: boolean;
  readonly isOfAllNodes?: boolean;
  readonly run: (world: World, node: ClusterNode) => Promise<unknown>;
}

/** Longer than the bound, so that whoever is cut off for so long must not serve from memory any more. */
const pastBound = ({ boundMs, random }: World) => pause(boundMs + random.int(1_500, 3_000));
const belowBound = ({ boundMs, random }: World) => pause(random.int(200, boundMs / 2));

function onPath(
  pathOf: (node: ClusterNode) => readonly TcpProxy[],
  state: PathState,
  duration: (world: World) => Promise<unknown>,
): FaultKind["run"] {
  return async (world, node) => {
    for (const path of pathOf(node)) path.set(state);
    await duration(world);
    for (const path of pathOf(node)) path.set("open");
  };
}

const tail = (node: ClusterNode) => [node.tailPath];
const pool = (node: ClusterNode) => [node.poolPath];
const both = (node: ClusterNode) => [node.tailPath, node.poolPath];

async function freeze(node: ClusterNode, duration: Promise<unknown>): Promise<void> {
  node.signal("SIGSTOP");
  await duration;
  node.signal("SIGCONT");
}

async function restartPostgres({ cluster, random }: World, how: "fast" | "immediate"): Promise<void> {
  await cluster.postgres.stop(how);
  await pause(random.int(100, 1_000));
  await cluster.postgres.start();
}

export const FAULTS = {
  "kill -9 of a node": {
    async run({ random }, node) {
      node.signal("SIGKILL");
      await untilExit(node, 5_000);
      await pause(random.int(0, 500));
      await node.start();
    },
  },
  "node restarted by SIGTERM": {
    async run({ history }, node) {
      node.signal("SIGTERM");
      const { code } = await untilExit(node, 15_000);
      if (code !== 0)
        history.incidents.push(`P7: node ${node.index} exits with ${code}: ${node.stderr().slice(-500)}`);
      await node.start();
    },
  },
  "node paused past the bound": { run: (world, node) => freeze(node, pastBound(world)) },
  "node paused below the bound": { run: (world, node) => freeze(node, belowBound(world)) },
  "all connections ended": {
    isOfAllNodes: true,
    run: ({ cluster }) => terminate(cluster, "live-logout%"),
  },
  "listeners ended": { isOfAllNodes: true, run: ({ cluster }) => terminate(cluster, "live-logout tail") },
  "listener's backend stopped": {
    async run(world) {
      const pid = world.random.pick(await listeners(world.cluster));
      signalBackend(pid, "SIGSTOP");
      await pastBound(world);
      signalBackend(pid, "SIGCONT");
    },
    isOfAllNodes: true,
  },
  "listener's path cut": { run: onPath(tail, "refusing", belowBound) },
  "listener's path cut past the bound": { run: onPath(tail, "refusing", pastBound) },
  "listener's path silent": { run: onPath(tail, "silent", pastBound) },
  "listener's path deaf": { run: onPath(tail, "deaf", pastBound) },
  "listener's path slow": { run: onPath(tail, "slow", pastBound) },
  "pool's path slow": { run: onPath(pool, "slow", pastBound) },
  "pool's path cut": { run: onPath(pool, "refusing", belowBound) },
  "node partitioned from the database": { isPartition: true, run: onPath(both, "silent", pastBound) },
  "PostgreSQL restarted fast": { isOfAllNodes: true, run: (world) => restartPostgres(world, "fast") },
  "PostgreSQL crashed": { isOfAllNodes: true, run: (world) => restartPostgres(world, "immediate") },
  "writer that holds the log's lock": { isOfAllNodes: true, run: holdLogLock },
} satisfies Record<string, FaultKind>;

export type FaultName = keyof typeof FAULTS;

/** The backends that the nodes hear notifications from: after a fault before this one they may yet have to come back. */
async function listeners({ postgres }: Cluster): Promise<readonly number[]> {
  let pids: readonly number[] = [];
  await eventually(
    "a node listens again",
    async () => {
      const rows = await postgres.query(
        DATABASE,
        `SELECT pid FROM pg_stat_activity WHERE application_name = 'live-logout tail' AND datname = '${DATABASE}'`,
      );
      pids = rows.map((row) => Number(row["pid"]));
      return pids.length > 0;
    },
    30_000,
  );
  return pids;
}

function signalBackend(pid: number, signal: "SIGSTOP" | "SIGCONT"): void {
  try {
    process.kill(pid, signal);
  } catch {
    // Its node gave it up meanwhile, and it ended by itself.
  }
}

function terminate(cluster: Cluster, application: string): Promise<unknown> {
  return cluster.postgres.query(
    DATABASE,
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
     WHERE application_name LIKE '${application}' AND datname = '${DATABASE}'`,
  );
}

/** A psql session that changed something and is thought over before it is committed. */
async function holdLogLock({ cluster, random }: World): Promise<void> {
  const client = new pg.Client({ connectionString: `${cluster.postgres.url}/${DATABASE}` });
  client.on("error", () => {});
  await client.connect();
  try {
    await client.query("BEGIN");
    // The administrator's: another's might just have been brought to its end, and would live on by this.
    await client.query(
      `UPDATE sessions SET expires_at = expires_at + interval '1 hour'
       WHERE user_id = (SELECT id FROM users WHERE role = 'ADMIN') AND revoked_at IS NULL`,
    );
    await pause(random.int(500, 1_500));
    await client.query("COMMIT");
  } finally {
    await client.end();
  }
}

/** Lets one thing go wrong on a node, or on all, and notes from when to when. */
export async function inflict(
  name: FaultName,
  world: World,
  node: ClusterNode,
  now: () => number,
): Promise<void> {
  const kind: FaultKind = FAULTS[name];
  const start = now();
  try {
    await kind.run(world, node);
  } finally {
    world.history.faults.push({
      kind: name,
      node: kind.isOfAllNodes ? undefined : node.index,
      start,
      end: now(),
      isPartition: kind.isPartition ?? false,
    });
  }
}
