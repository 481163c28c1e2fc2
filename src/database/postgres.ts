import { Socket } from "node:net";
import { PrismaPg } from "@prisma/adapter-pg";
import pg from "pg";
import { OperatorError } from "../operator-error.ts";
import type { Database, Listener, ListenerOptions, OpenOptions } from "./database.ts";
import { createPrismaClient } from "./prisma-client.ts";

/** Time to reach the server, in milliseconds. Longer than a packet lost twice, shorter than patience. */
const CONNECT_TIMEOUT_MS = 5_000;

/**
 * How long a writer waits for a lock, in milliseconds. The log has one lock for all writers; whoever sits on
 * it (an open psql transaction) must not make every login hang, so ours give up and say so.
 */
const LOCK_TIMEOUT_MS = 2_000;

/** A node that is paused in the middle of a change must not keep the log's lock from the others for longer. */
const IDLE_TRANSACTION_TIMEOUT_MS = 10_000;

const IDLE_TRANSACTION_WARNING =
  "The database lets a transaction be idle for ever. One that has written to users or sessions and then waits " +
  "stops every login and revocation. Run: ALTER DATABASE ... SET idle_in_transaction_session_timeout = '30s'";

const LOCK_TIMEOUT_WARNING =
  "What DATABASE_URL leads to (a pooler?) drops the setting lock_timeout, so one writer that holds the log's lock makes " +
  "every login hang. Run: ALTER ROLE ... SET lock_timeout = '2s'";

const SHARED_CONNECTION_WARNING =
  "Between this node and the database is a pooler. If it shares connections between transactions, this node hears of " +
  "revocations up to a second late. Set LISTEN_DATABASE_URL to a way past it.";

/**
 * Opens a pool on a PostgreSQL server. `listenUrl` reaches the same database past a pooler that shares connections,
 * for what needs one of its own: listening, and the lock of a migration.
 * Throws {@link OperatorError} if either cannot be used.
 */
export async function openPostgres(
  url: string,
  options: OpenOptions,
  listenUrl: string = url,
): Promise<Database> {
  const pool: pg.PoolConfig = {
    ...connectionTo(url),
    application_name: "live-logout",
    lock_timeout: LOCK_TIMEOUT_MS,
    idle_in_transaction_session_timeout: IDLE_TRANSACTION_TIMEOUT_MS,
  };
  const description = describe(url);
  const pooled = await probe(pool, description, "DATABASE_URL");
  if (pooled.lockTimeout === "0") options.onWarning?.(LOCK_TIMEOUT_WARNING);
  const setting = listenUrl === url ? "DATABASE_URL" : "LISTEN_DATABASE_URL";
  const direct = await probe(connectionTo(listenUrl), describe(listenUrl), setting);
  if (direct.idleTimeout === "0") options.onWarning?.(IDLE_TRANSACTION_WARNING);
  if (!direct.isOwn) options.onWarning?.(SHARED_CONNECTION_WARNING);
  // Following another log than the one that is written would miss every revocation.
  if (direct.identity !== pooled.identity) {
    throw new OperatorError("LISTEN_DATABASE_URL and DATABASE_URL do not lead to the same database.");
  }
  const { answerTimeoutMs } = options;
  const impatientPool: pg.PoolConfig = answerTimeoutMs
    ? {
        ...pool,
        verify: refuseStandby,
        stream: () => createImpatientSocket(answerTimeoutMs),
        // Before the socket itself takes the silence of an idle connection for a broken one.
        idleTimeoutMillis: answerTimeoutMs / 2,
      }
    : pool;
  // Without listeners one killed backend, which ends every connection of the server, would end Node too.
  const onError = (error: Error) => {
    // The pool hangs the whole connection on its errors, which no log needs.
    Reflect.deleteProperty(error, "client");
    options.onError(error);
  };
  const listeners = { onPoolError: onError, onConnectionError: onError };
  // A migration may take its time; everything else is waited for by somebody.
  const adapterFactory = new WholeScriptPrismaPg(pool, listeners);
  const prisma = createPrismaClient(new WholeScriptPrismaPg(impatientPool, listeners), options.onQuery);

  return {
    prisma,
    description,
    adapterFactory,
    openListener: (listener) => openListener(connectionTo(listenUrl), listener),
    async exclusively(name, work) {
      const client = new pg.Client({ ...connectionTo(listenUrl), application_name: `live-logout ${name}` });
      client.on("error", options.onError);
      await client.connect();
      try {
        // In a transaction, because a pooler gives what a session holds to whoever comes next. It may take as long as the
        // other node's work, or as ours.
        await client.query("BEGIN");
        await client.query("SET LOCAL lock_timeout = 0");
        await client.query("SET LOCAL idle_in_transaction_session_timeout = 0");
        await client.query("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", [`live_logout.${name}`]);
        const result = await work();
        await client.query("COMMIT");
        return result;
      } finally {
        await client.end();
      }
    },
    close: () => prisma.$disconnect(),
  };
}

/**
 * Prisma's adapter cuts a migration at every semicolon, also within a function's body, and sends the pieces
 * over any connections of the pool. Sent whole, a migration works, and is applied entirely or not at all.
 */
class WholeScriptPrismaPg extends PrismaPg {
  override async connect(): ReturnType<PrismaPg["connect"]> {
    const adapter = await super.connect();
    adapter.executeScript = async (script) => {
      await adapter.underlyingDriver().query(script);
    };
    return adapter;
  }
}

/**
 * After a failover the same address may lead to a standby. What is read there may be older than what the tail has
 * applied, and a session that it has ended would come alive again. A primary becomes a standby by a restart only, so
 * a connection has to be asked once.
 */
function refuseStandby(client: pg.PoolClient, done: (error?: Error) => void): void {
  // The pool's own listener is off while a new connection is verified; the failed query says what there is to say.
  client.on("error", () => {});
  client
    .query<{ is_standby: boolean }>("SELECT pg_is_in_recovery() AS is_standby")
    .then(
      ({ rows }) =>
        done(rows[0]?.is_standby ? new Error("a standby answers instead of the primary") : undefined),
      done,
    );
}

/**
 * A connection whose server has gone silent, as behind a broken network, would be waited for until TCP gives up,
 * a quarter of an hour later. This one is broken off, so that whoever waits is told and the pool opens another.
 */
function createImpatientSocket(answerTimeoutMs: number): Socket {
  const socket = new Socket();
  socket.setTimeout(answerTimeoutMs);
  socket.once("timeout", () => {
    // Shaped like an error of the system, by which Prisma's adapter recognizes a lost connection.
    const system = { code: "ETIMEDOUT", syscall: "read", errno: -110 };
    socket.destroy(Object.assign(new Error("the database did not answer in time"), system));
  });
  return socket;
}

async function openListener(connection: pg.ClientConfig, options: ListenerOptions): Promise<Listener> {
  const client = new pg.Client({
    ...connection,
    application_name: "live-logout tail",
    // On the client's side, because a server that has stopped answering does not time anything out.
    query_timeout: options.queryTimeoutMs,
  });
  let closed = false;
  const lose = (error: Error) => {
    if (closed) return;
    closed = true;
    options.onLost(error);
  };
  client.on("error", lose);
  client.on("end", () => lose(new Error("the database ended the connection")));
  client.on("notification", ({ payload }) => options.onNotification(payload ?? ""));
  await client.connect();
  const isOwn = await isOwnConnection(client);
  // A log is read at its end. How many rows that are there is not known when the statement is planned, and while the log is
  // small, all of it would be read each time.
  if (isOwn) await client.query("SET enable_seqscan = off");
  await client.query(`LISTEN ${pg.escapeIdentifier(options.channel)}`);
  const names = new Map<string, string>();
  return {
    async query(text, values) {
      // A pooler may run each statement on another connection, which does not know what was prepared on the last.
      if (!isOwn) return (await client.query(text, [...values])).rows;
      // Prepared: the same few statements are run again and again, and planning takes as long as running them.
      let name = names.get(text);
      if (name === undefined) {
        name = `listener ${names.size + 1}`;
        names.set(text, name);
      }
      const result = await client.query({ name, text, values: [...values] });
      return result.rows;
    },
    async close() {
      closed = true;
      await client.end();
    },
  };
}

/**
 * Whether what is set or prepared on a connection is there at the next statement. A pooler, which may give it to others in
 * between, answers for the server with a key of its own.
 */
async function isOwnConnection(client: pg.Client): Promise<boolean> {
  const { rows } = await client.query<{ pid: number }>("SELECT pg_backend_pid() AS pid");
  return rows[0]?.pid === Reflect.get(client, "processID");
}

function connectionTo(url: string): pg.ClientConfig {
  return { connectionString: url, connectionTimeoutMillis: CONNECT_TIMEOUT_MS, keepAlive: true };
}

interface Probed {
  /** After which time the server ends an idle transaction on such a connection; "0": never. */
  readonly idleTimeout: string;
  /** After which time it gives up waiting for a lock; "0": never. */
  readonly lockTimeout: string;
  /** The same for every way to the same database. */
  readonly identity: string;
  /** Whether no pooler is in between. */
  readonly isOwn: boolean;
}

/** Fails early, with words for the operator, instead of at the first query. */
async function probe(connection: pg.ClientConfig, description: string, setting: string): Promise<Probed> {
  const client = new pg.Client(connection);
  client.on("error", () => {});
  try {
    await client.connect();
    const { rows } = await client.query<{
      version: string;
      idle: string;
      lock: string;
      identity: string;
      is_standby: boolean;
    }>(
      `SELECT current_setting('server_version_num') AS version,
              current_setting('idle_in_transaction_session_timeout') AS idle,
              current_setting('lock_timeout') AS lock,
              pg_postmaster_start_time()::text || oid AS identity,
              pg_is_in_recovery() AS is_standby
       FROM pg_database WHERE datname = current_database()`,
    );
    const [row] = rows;
    if (!row) throw new Error("it does not know its own database");
    if (Number(row.version) < 130_000) {
      throw new OperatorError(`${description} is too old: version 13 or newer is needed.`);
    }
    if (row.is_standby) {
      throw new OperatorError(`${description} is a standby. ${setting} must lead to the primary.`);
    }
    const isOwn = await isOwnConnection(client);
    return { idleTimeout: row.idle, lockTimeout: row.lock, identity: row.identity, isOwn };
  } catch (error) {
    if (error instanceof OperatorError) throw error;
    const reason =
      error instanceof Error ? error.message || String(Reflect.get(error, "code")) : String(error);
    throw new OperatorError(
      `Cannot use ${description}: ${reason}. Check ${setting}, and that the server runs; ` +
        "without DATABASE_URL an embedded database is used.",
    );
  } finally {
    await client.end().catch(() => {});
  }
}

function describe(url: string): string {
  const { hostname, port, pathname } = new URL(url);
  return `PostgreSQL at ${hostname}:${port || 5432}${pathname}`;
}
