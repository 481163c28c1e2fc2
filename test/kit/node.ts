import pg from "pg";
import { readConfig } from "../../src/config.ts";
import { createLog } from "../../src/log.ts";
import { type Node, type NodeOptions, startNode } from "../../src/main.ts";
import { createTestDatabase, type DatabaseKind, type TestDatabase } from "./databases.ts";
import { expectNoSecret, KIT_PASSWORDS } from "./secrets.ts";

export const ADMIN = { email: "admin@example.com", password: KIT_PASSWORDS.admin } as const;

type Row = Record<string, unknown>;

export interface TestNode extends Node {
  readonly databaseSettings: Readonly<Record<string, string>>;
  /** Runs plain SQL: on PostgreSQL by another client, as psql would. */
  readonly sql: (text: string, values?: readonly unknown[]) => Promise<readonly Row[]>;
  /** What the node logged, as JSON lines. */
  readonly logged: readonly string[];
}

export interface TestNodeOptions extends NodeOptions {
  readonly settings?: Readonly<Record<string, string>>;
  /** A database that exists already, to start a node on it again or a second one. */
  readonly on?: TestDatabase;
}

/** Starts a node on a free port of the loopback interface. The caller stops it. */
export async function startTestNode(kind: DatabaseKind, options: TestNodeOptions = {}): Promise<TestNode> {
  const database = options.on ?? (await createTestDatabase(kind));
  const logged: string[] = [];
  const log = createLog("debug", { write: (line) => void logged.push(line) });
  const config = readConfig({
    PORT: "0",
    ADMIN_EMAIL: ADMIN.email,
    ADMIN_PASSWORD: ADMIN.password,
    // All the clients of a test come from one address.
    SIGN_UPS_PER_ADDRESS: "1000000",
    LOGIN_FAILURES_PER_ADDRESS: "1000000",
    SOCKETS_PER_ADDRESS: "1000000",
    SOCKETS_PER_USER: "1000000",
    ...database.settings,
    ...options.settings,
  });
  const node = await startNode(config, { log, ...options });
  const sql = await connect(node, database);
  return {
    ...node,
    logged,
    databaseSettings: database.settings,
    sql: sql.query,
    async stop() {
      await sql.end();
      await node.stop();
      if (!options.on) await database.remove();
      expectNoSecret(logged);
    },
  };
}

async function connect(
  node: Node,
  { settings }: TestDatabase,
): Promise<{ readonly query: TestNode["sql"]; readonly end: () => Promise<void> }> {
  if (settings["DATABASE_URL"]) {
    const client = new pg.Client({ connectionString: settings["DATABASE_URL"] });
    // The end of the database, which a test may bring about, is no error of the test's.
    client.on("error", () => {});
    await client.connect();
    return {
      query: async (text, values = []) => (await client.query<Row>(text, [...values])).rows,
      end: () => client.end(),
    };
  }
  // PGlite lives in the node's process, so there is no other client; this is at least another path than Prisma's.
  const listener = await node.database.openListener({
    channel: "test",
    onNotification: () => {},
    onLost: () => {},
    queryTimeoutMs: 10_000,
  });
  return { query: (text, values = []) => listener.query(text, values), end: () => listener.close() };
}
