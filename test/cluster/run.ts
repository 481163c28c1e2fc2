import { setTimeout as pause } from "node:timers/promises";
import { eventually } from "../kit/deadline.ts";
import { check, type Verdict } from "./checker.ts";
import { type Cluster, DATABASE, startCluster } from "./cluster.ts";
import { startFeedReader } from "./feed-reader.ts";
import { createHistory, type History, type LogRow } from "./history.ts";
import type { Mutant } from "./mutants.ts";
import { FAULTS, type FaultName, inflict } from "./nemesis.ts";
import { createRandom, type Random } from "./random.ts";
import { createWorkload, logInAdministrator } from "./workload.ts";

const NODES = 3;
/** After the last fault every node has to be ready by then. */
const HEALED_MS = 15_000;

export interface RunOptions {
  readonly seed: number;
  /** How often each kind of fault happens, in an order that the seed decides. */
  readonly rounds: number;
  /** Only these kinds. */
  readonly faults?: readonly FaultName[];
  /** Or go on with rounds until so much time has passed. */
  readonly durationMs?: number;
  readonly boundMs?: number;
  /** How many sessions live at the same time. */
  readonly actors?: number;
  /** How many sessions live, connected, from the beginning to the end. */
  readonly residents?: number;
  readonly mutant?: Mutant;
  /** How long all is left alone before the first fault and after the last. */
  readonly calmMs?: number;
  /** How long after its end a client may take to learn of it, whatever goes wrong meanwhile. */
  readonly learningMs?: number;
  readonly onProgress?: (line: string) => void;
}

/** Runs the cluster under load while things go wrong, and checks what happened. Seeded: the same seed, the same faults. */
export async function runHistory(options: RunOptions): Promise<Verdict & { readonly history: History }> {
  const { seed, boundMs = 2_000, actors = 30, residents = 0, calmMs = 8_000, learningMs = 60_000 } = options;
  const random = createRandom(seed);
  const history = createHistory();
  const now = () => performance.now();
  const cluster = await startCluster({ boundMs, nodes: NODES, mutant: options.mutant }, history);
  try {
    const admin = await logInAdministrator(cluster);
    const readers = cluster.nodes.map((node) => startFeedReader(node, admin, history));
    const workload = await createWorkload(cluster, history, random.fork(), {
      admin,
      boundMs,
      learningMs,
      now,
    });
    const finished = workload.run(actors, residents);

    await pause(calmMs);
    await letThingsGoWrong({ cluster, random: random.fork(), boundMs, history }, options, now);
    const isReady = async () => {
      const answers = await Promise.all(
        cluster.nodes.map(({ url }) =>
          fetch(`${url}/readyz`).then(
            ({ ok }) => ok,
            () => false,
          ),
        ),
      );
      return answers.every(Boolean);
    };
    await eventually("every node is ready", isReady, HEALED_MS).catch((error) => {
      const said = cluster.nodes.map((node) => `node ${node.index}: ${node.stderr().slice(-1_500)}`);
      history.incidents.push(`heals: ${error}\n${said.join("\n")}`);
    });
    await pause(calmMs);
    workload.stop();
    await finished;
    await workload.close();

    const log = await readLog(cluster);
    const last = log.at(-1)?.id;
    const isFollowed = () =>
      readers.every((reader) => reader.last() === last) &&
      history.nodeLives.every(({ isAlive, applied }) => !isAlive || applied.at(-1) === last);
    // Whether they did is for the checker to say.
    await eventually("everything is read", isFollowed, 5_000).catch(() => {});
    await Promise.all(readers.map((reader) => reader.stop()));
    return { ...check(history, { boundMs, log, stillborn: await findStillborn(cluster) }), history };
  } finally {
    await cluster.stop();
  }
}

/** Faults one after the other, each kind as often as any other, with calm in between from time to time. */
async function letThingsGoWrong(
  world: {
    readonly cluster: Cluster;
    readonly random: Random;
    readonly boundMs: number;
    readonly history: History;
  },
  { rounds, durationMs = 0, calmMs = 8_000, faults, onProgress = () => {} }: RunOptions,
  now: () => number,
): Promise<void> {
  const { cluster, random } = world;
  const kinds = faults ?? (Object.keys(FAULTS) as FaultName[]);
  const until = now() + durationMs;
  for (let round = 1; round <= rounds || now() < until; round++) {
    for (const kind of random.shuffle(kinds)) {
      onProgress(kind);
      await inflict(kind, world, random.pick(cluster.nodes), now);
      await pause(random.int(0, 1_000));
    }
    if (durationMs > 0) await pause(2 * calmMs);
  }
}

async function readLog({ postgres }: Cluster): Promise<readonly LogRow[]> {
  const rows = await postgres.query(
    DATABASE,
    `SELECT id::text AS cursor, type, session_id, user_id, reason, transaction_id::text FROM session_event ORDER BY id`,
  );
  return rows.map((row) => ({
    id: String(row["cursor"]),
    type: String(row["type"]),
    sessionId: String(row["session_id"]),
    userId: String(row["user_id"]),
    reason: row["reason"] === null ? null : String(row["reason"]),
    transactionId: String(row["transaction_id"]),
  }));
}

async function findStillborn({ postgres }: Cluster): Promise<readonly string[]> {
  const rows = await postgres.query(
    DATABASE,
    `SELECT sessions.id FROM sessions JOIN users ON users.id = user_id
     WHERE revoked_at IS NULL AND sessions.credential_version <> users.credential_version`,
  );
  return rows.map((row) => String(row["id"]));
}
