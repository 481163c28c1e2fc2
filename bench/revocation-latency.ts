import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { cpus } from "node:os";
import process from "node:process";
import pg from "pg";
import WebSocket from "ws";
import { createToken, hashToken } from "../src/token.ts";
import { createPostgresServer } from "../test/kit/postgres-server.ts";
import { type ServiceProcess, spawnService } from "../test/kit/service-process.ts";

// P1: from the commit of a revocation to the closed socket on another node. Beside it the least that PostgreSQL itself
// needs, from a NOTIFY to a client that only listens; both also from the moment that the statement is sent, because the
// notification may be there before its sender hears of the commit. And how long "log out everyone" takes.
// `npm run bench`. One run, one machine, everything on the loopback interface, in processes of their own.

const REVOCATIONS = 1_000;
const EVERYONE = 2_000;
const DATABASE = "bench";

const say = (line: string) => void process.stdout.write(`${line}\n`);

interface Client {
  readonly sessionId: string;
  readonly socket: WebSocket;
  /** When it was closed, and why. */
  readonly closed: Promise<{ readonly at: number; readonly code: number }>;
}

/** Sessions by plain SQL, each with a socket that subscribes to its end. */
async function connect(sql: pg.Client, url: string, count: number): Promise<Client[]> {
  const userId = randomUUID();
  await sql.query("INSERT INTO users (id, email, name, password_hash) VALUES ($1, $2, 'Bench', 'none')", [
    userId,
    `${userId}@example.com`,
  ]);
  const sessions = Array.from({ length: count }, () => ({
    id: randomUUID(),
    token: createToken("session").token,
  }));
  await sql.query(
    `INSERT INTO sessions (id, user_id, token_hash, credential_version, expires_at)
     SELECT id, $1, hash, 1, now() + interval '1 day' FROM unnest($2::uuid[], $3::text[]) AS given(id, hash)`,
    [userId, sessions.map(({ id }) => id), sessions.map(({ token }) => hashToken("session", token))],
  );
  const clients: Client[] = [];
  for (let start = 0; start < count; start += 100) {
    const batch = sessions.slice(start, start + 100).map(({ id, token }) => open(url, id, token));
    clients.push(...(await Promise.all(batch)));
  }
  return clients;
}

async function open(url: string, sessionId: string, token: string): Promise<Client> {
  const socket = new WebSocket(`${url.replace("http", "ws")}/graphql`, "graphql-transport-ws");
  const closed = once(socket, "close").then(([code]) => ({ at: performance.now(), code: Number(code) }));
  await once(socket, "open");
  socket.send(JSON.stringify({ type: "connection_init", payload: { authorization: `Bearer ${token}` } }));
  await once(socket, "message");
  const query = "subscription { sessionRevoked { reason } }";
  socket.send(JSON.stringify({ id: "1", type: "subscribe", payload: { query } }));
  // Its answer says that the subscription before it is there.
  socket.send(JSON.stringify({ id: "2", type: "subscribe", payload: { query: "{ __typename }" } }));
  await once(socket, "message");
  return { sessionId, socket, closed };
}

interface Latency {
  readonly fromCommit: number;
  readonly fromStatement: number;
}

/** The least that any design needs which hears of commits by notification. */
async function measureNotify(url: string, sql: pg.Client): Promise<Latency[]> {
  const listener = new pg.Client({ connectionString: url });
  await listener.connect();
  await listener.query("LISTEN bench");
  const latencies: Latency[] = [];
  for (let count = 0; count < REVOCATIONS; count++) {
    const heard = once(listener, "notification").then(() => performance.now());
    const sentAt = performance.now();
    await sql.query("NOTIFY bench");
    const committedAt = performance.now();
    const at = await heard;
    latencies.push({ fromCommit: Math.max(0, at - committedAt), fromStatement: at - sentAt });
  }
  await listener.end();
  return latencies;
}

async function measureRevocations(sql: pg.Client, url: string): Promise<Latency[]> {
  const latencies: Latency[] = [];
  for (const { sessionId, closed } of await connect(sql, url, REVOCATIONS)) {
    const sentAt = performance.now();
    await sql.query("UPDATE sessions SET revoked_at = now() WHERE id = $1", [sessionId]);
    const committedAt = performance.now();
    const { at, code } = await closed;
    if (code !== 4401) throw new Error(`closed with ${code}`);
    latencies.push({ fromCommit: Math.max(0, at - committedAt), fromStatement: at - sentAt });
  }
  return latencies;
}

async function measureEveryone(sql: pg.Client, urls: readonly string[]): Promise<void> {
  const clients = (await Promise.all(urls.map((url) => connect(sql, url, EVERYONE)))).flat();
  const begunAt = performance.now();
  await sql.query(
    "UPDATE sessions SET revoked_at = now(), revocation_reason = 'POLICY' WHERE revoked_at IS NULL",
  );
  const committedAt = performance.now();
  const closes = await Promise.all(clients.map(({ closed }) => closed));
  const last = Math.max(...closes.map(({ at }) => at));
  const wrong = closes.filter(({ code }) => code !== 4401).length;
  say(
    `log out everyone: ${clients.length} sockets on ${urls.length} nodes; statement ${ms(committedAt - begunAt)}, ` +
      `last socket closed ${ms(last - committedAt)} after the commit; closed otherwise: ${wrong}`,
  );
}

const ms = (value: number) => `${value.toFixed(value < 10 ? 2 : 0)} ms`;

function percentiles(values: readonly number[]): Readonly<Record<"p50" | "p99" | "max", number>> {
  const sorted = [...values].sort((left, right) => left - right);
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  return { p50: at(0.5), p99: at(0.99), max: at(1) };
}

const postgres = await createPostgresServer(["-c", "max_connections=100"]);
const services: ServiceProcess[] = [];
try {
  await postgres.start();
  await postgres.query("postgres", `CREATE DATABASE ${DATABASE}`);
  const databaseUrl = `${postgres.url}/${DATABASE}`;
  const settings = {
    DATABASE_URL: databaseUrl,
    LOG_LEVEL: "error",
    ADMIN_PASSWORD: "correct horse battery",
    // All sockets are of one user at one address.
    SOCKETS_PER_ADDRESS: "1000000",
    SOCKETS_PER_USER: "1000000",
  };
  const urls: string[] = [];
  for (let count = 0; count < 2; count++) {
    const service = spawnService(settings);
    services.push(service);
    urls.push(await service.ready());
  }
  const sql = new pg.Client({ connectionString: databaseUrl });
  await sql.connect();
  const [{ version } = { version: "" }] = (await sql.query("SELECT split_part(version(), ' ', 2) AS version"))
    .rows;
  say(`${cpus().length} × ${cpus()[0]?.model}, Node ${process.version}, PostgreSQL ${version}`);

  const bare = await measureNotify(databaseUrl, sql);
  const ours = await measureRevocations(sql, urls[1] ?? "");
  for (const from of ["fromCommit", "fromStatement"] as const) {
    const [least, closed] = [bare, ours].map((latencies) => percentiles(latencies.map((each) => each[from])));
    if (!least || !closed) continue;
    const start = from === "fromCommit" ? "the commit" : "sending the statement";
    say(`from ${start} to`);
    say(`  a bare notification            p50 ${ms(least.p50)}  p99 ${ms(least.p99)}  max ${ms(least.max)}`);
    say(
      `  the closed socket on a node    p50 ${ms(closed.p50)}  p99 ${ms(closed.p99)}  max ${ms(closed.max)}`,
    );
    if (from === "fromStatement") {
      say(
        `  ratio                          p50 ${(closed.p50 / least.p50).toFixed(1)}  p99 ${(closed.p99 / least.p99).toFixed(1)}`,
      );
    }
  }
  await measureEveryone(sql, urls);
  await sql.end();
} finally {
  for (const { child, exited } of services) {
    child.kill("SIGKILL");
    await exited;
  }
  await postgres.remove();
}
