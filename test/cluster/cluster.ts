import { createInterface } from "node:readline";
import { within } from "../kit/deadline.ts";
import { removeFolder, temporaryFolder } from "../kit/folders.ts";
import { createPostgresServer, freePort, type PostgresServer } from "../kit/postgres-server.ts";
import { type ServiceProcess, spawnService } from "../kit/service-process.ts";
import { startTcpProxy, type TcpProxy } from "../kit/tcp-proxy.ts";
import type { History } from "./history.ts";
import type { Mutant } from "./mutants.ts";

export const DATABASE = "app";
const DRAIN_MS = 1_000;

export interface ClusterOptions {
  readonly boundMs: number;
  readonly nodes: number;
  readonly mutant?: Mutant | undefined;
}

/** Nodes as processes of their own over one PostgreSQL, each with its own paths to it. */
export interface Cluster {
  readonly postgres: PostgresServer;
  readonly nodes: readonly ClusterNode[];
  /** Ends every process and removes the files. */
  readonly stop: () => Promise<void>;
}

export interface ClusterNode {
  readonly index: number;
  /** The same over all its lives. */
  readonly url: string;
  /** What the pool of connections goes over. */
  readonly poolPath: TcpProxy;
  /** What the tail goes over. */
  readonly tailPath: TcpProxy;
  readonly pid: () => number;
  readonly signal: (signal: NodeJS.Signals) => void;
  /** Starts it again after it has ended; resolves when it serves. */
  readonly start: () => Promise<void>;
  readonly ended: () => Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;
  readonly stderr: () => string;
}

export async function startCluster(options: ClusterOptions, history: History): Promise<Cluster> {
  const undo: (() => Promise<unknown>)[] = [];
  const stop = async () => {
    for (let step = undo.pop(); step; step = undo.pop()) await step().catch(() => {});
  };
  try {
    const postgres = await createPostgresServer(["-c", "max_connections=200"]);
    undo.push(() => postgres.remove());
    await postgres.start();
    await postgres.query("postgres", `CREATE DATABASE ${DATABASE}`);
    await postgres.query(
      DATABASE,
      `ALTER DATABASE ${DATABASE} SET idle_in_transaction_session_timeout = '30s'`,
    );
    const folder = await temporaryFolder("cluster");
    undo.push(() => removeFolder(folder));

    const nodes: ClusterNode[] = [];
    for (let index = 0; index < options.nodes; index++) {
      const [poolPath, tailPath] = [await startTcpProxy(postgres.port), await startTcpProxy(postgres.port)];
      undo.push(() => poolPath.close());
      undo.push(() => tailPath.close());
      const node = createNode(
        { index, poolPath, tailPath, port: await freePort(), folder },
        options,
        history,
      );
      nodes.push(node);
      undo.push(async () => {
        // A process that is stopped does not hear that it is to end, but by SIGKILL.
        node.signal("SIGKILL");
        await node.ended();
      });
      // One after the other, so that the first alone migrates and the others only look.
      await node.start();
    }
    return { postgres, nodes, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

interface Place {
  readonly index: number;
  readonly poolPath: TcpProxy;
  readonly tailPath: TcpProxy;
  readonly port: number;
  readonly folder: string;
}

function createNode(
  place: Place,
  { boundMs, mutant }: ClusterOptions,
  { nodeLives, incidents }: History,
): ClusterNode {
  const { index, poolPath, tailPath, port, folder } = place;
  const databaseUrl = (path: TcpProxy) => `postgresql://postgres:postgres@127.0.0.1:${path.port}/${DATABASE}`;
  let service: ServiceProcess | undefined;

  return {
    index,
    url: `http://127.0.0.1:${port}`,
    poolPath,
    tailPath,
    pid: () => service?.child.pid ?? 0,
    signal: (signal) => void service?.child.kill(signal),
    ended: async () => (service ? service.exited : { code: null, signal: null }),
    stderr: () => service?.output().stderr ?? "",
    async start() {
      const started = spawnService(
        {
          PORT: String(port),
          DATA_DIR: folder,
          DATABASE_URL: databaseUrl(poolPath),
          LISTEN_DATABASE_URL: databaseUrl(tailPath),
          ADMIN_EMAIL: "admin@example.com",
          ADMIN_PASSWORD: "correct horse battery",
          LOGIN_FAILURES_PER_ADDRESS: "1000000",
          SOCKETS_PER_ADDRESS: "1000000",
          SOCKETS_PER_USER: "1000000",
          REVOCATION_BOUND_MS: String(boundMs),
          DRAIN_MS: String(DRAIN_MS),
          LOG_LEVEL: "error",
          ...(mutant ? { MUTANT: mutant } : {}),
        },
        { script: "test/cluster/node.ts" },
      );
      service = started;
      const applied: string[] = [];
      const life = { node: index, applied, isAlive: true };
      nodeLives.push(life);
      void started.exited.then(({ code, signal }) => {
        life.isAlive = false;
        // By SIGKILL the nemesis ends it; by itself it may end in order only, when it was told to.
        if (code !== 0 && signal === null) {
          incidents.push(
            `node ${index} ended by itself with ${code}: ${started.output().stderr.slice(-1_000)}`,
          );
        }
      });
      const { stdout } = started.child;
      if (stdout) {
        createInterface(stdout).on("line", (line) => {
          const id = /^applied (\d+)$/.exec(line)?.[1];
          if (id) applied.push(id);
        });
      }
      await started.ready();
    },
  };
}

/** Waits until a child process has ended. */
export async function untilExit(
  node: ClusterNode,
  withinMs: number,
): Promise<{ readonly code: number | null }> {
  return within(withinMs, `the end of node ${node.index}`, node.ended());
}
