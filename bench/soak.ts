import { randomBytes, randomUUID } from "node:crypto";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { connect } from "node:net";
import { cpus } from "node:os";
import process from "node:process";
import { setTimeout as pause } from "node:timers/promises";
import { parseArgs } from "node:util";
import pg from "pg";
import WebSocket from "ws";
import { createToken } from "../src/token.ts";
import { metricOf } from "../test/kit/metrics.ts";
import { createPostgresServer, freePort } from "../test/kit/postgres-server.ts";
import { type ServiceProcess, spawnService } from "../test/kit/service-process.ts";
import { openDashboards } from "./kit/dashboards.ts";
import { createStolenShare, type Stalls, watchForStalls } from "./kit/stalls.ts";

// `npm run soak -- --minutes 60`: one node under everything that goes on in an hour, and how much memory it needs at its end
// compared with after ten minutes. Sockets come and go; sessions begin by login and by SQL, and end by mutations, by SQL and by
// themselves; some clients do not read, some send garbage, some vanish; operators' pages follow all of it from the first minute
// to the last. The node's memory of sessions is filled to its brim before, so that what grows afterwards is a leak.

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "60" },
    sockets: { type: "string", default: "10000" },
    sessions: { type: "string", default: "110000" },
  },
});
const MINUTES = Number(values.minutes);
const SOCKETS = Number(values.sockets);
/** After so much of the run memory is what it is to be at the end, too. */
const SETTLED_AFTER = 1 / 6;
const USERS = 2_000;
/** As many as the node keeps in memory, and some more. */
const SESSIONS = Number(values.sessions);
/** How long a socket lives, in seconds. */
const SHORTEST_LIFE_S = 30;
const LONGEST_LIFE_S = 300;
const CONNECTING_AT_ONCE = 40;
/** Of a hundred clients so many misbehave. */
const MISBEHAVING_PERCENT = 3;
/** Pages that stay open, to which every event is told. */
const DASHBOARDS = 20;
const PASSWORD = "a password of theirs";

const say = (line: string) => void process.stdout.write(`${line}\n`);
const between = (least: number, most: number) => least + Math.random() * (most - least);

interface Held {
  readonly id: string;
  readonly token: string;
  /** It was ended on purpose, and why its socket closes. */
  isRevoked: boolean;
}

const counts: Record<string, number> = {};
const count = (what: string) => {
  counts[what] = (counts[what] ?? 0) + 1;
};
/** What must not happen: sockets that were not told, requests that failed. */
const problems: { readonly what: string; readonly at: number }[] = [];
const problem = (what: string) => {
  count(`problem: ${what}`);
  problems.push({ what, at: Date.now() });
};

async function soak(
  url: string,
  metricsUrl: string,
  databaseUrl: string,
  service: ServiceProcess,
): Promise<void> {
  const sql = new pg.Client({ connectionString: databaseUrl });
  await sql.connect();
  const users = await makeUsers(sql);
  const sessions = await makeSessions(sql, users, SESSIONS);
  say(`${SESSIONS} sessions of ${USERS} users are there; the node gets to know them`);
  await inBatches(sessions, 32, async ({ token }) => {
    if (!(await ask(url, token))) problem("a session that lives is nobody's");
  });
  const dashboards = await followEverything(url, sql);
  const until = performance.now() + MINUTES * 60_000;
  const isOver = () => performance.now() >= until;
  const idle = sessions.splice(0, sessions.length - SOCKETS * 2);
  const free = sessions;

  const connected = new Set<Held>();
  let opening = 0;
  async function runClient(): Promise<void> {
    const held = free.pop();
    if (!held) return;
    opening += 1;
    try {
      await live(url, held, connected, isOver);
    } catch (error) {
      problem(`a client: ${error instanceof Error ? error.message : error}`);
    } finally {
      opening -= 1;
      if (held.isRevoked) count("session ended while it was connected");
      else free.unshift(held);
    }
  }
  const clients: Promise<void>[] = [];
  const keepConnected = async () => {
    while (!isOver()) {
      const missing = SOCKETS - opening;
      for (let started = 0; started < Math.min(missing, CONNECTING_AT_ONCE); started++)
        void clients.push(runClient());
      await pause(200);
    }
  };

  const keepRevoking = async () => {
    while (!isOver()) {
      const [held] = connected;
      if (held && connected.size > SOCKETS / 2) {
        connected.delete(held);
        held.isRevoked = true;
        const isBySql = Math.random() < 0.5;
        count(isBySql ? "revoked by SQL" : "revoked by mutation");
        if (isBySql) await sql.query("UPDATE sessions SET revoked_at = now() WHERE id = $1", [held.id]);
        else await ask(url, held.token, "mutation { logout { __typename } }");
        const [fresh] = await makeSessions(sql, users, 1);
        if (fresh) free.unshift(fresh);
      }
      await pause(120);
    }
  };

  const keepLoggingIn = async () => {
    const client = { email: `soak-${randomUUID()}@example.com`, password: PASSWORD };
    const input = `email: "${client.email}", name: "Soak", password: "${PASSWORD}", passwordConfirmation: "${PASSWORD}", returnToken: true`;
    await post(url, `mutation { signUp(input: { ${input} }) { __typename } }`);
    while (!isOver()) {
      const wrong = Math.random() < 0.2;
      const password = wrong ? "not this one" : client.password;
      const { data } = await post(
        url,
        `mutation { login(input: { email: "${client.email}", password: "${password}", returnToken: true }) { __typename ... on LoginSuccess { token } } }`,
      );
      count(`login: ${data?.login?.__typename}`);
      const token = data?.login?.token;
      if (token) await ask(url, token, "mutation { logout { __typename } }");
      await pause(1_000);
    }
  };

  const keepAsking = async () => {
    while (!isOver()) {
      const held = idle[Math.floor(Math.random() * idle.length)];
      if (held && !(await ask(url, held.token))) problem("a session that lives is nobody's");
      count("asked");
      await pause(10);
    }
  };

  const keepBreaking = async () => {
    while (!isOver()) {
      await misbehave(url);
      count("garbage");
      await pause(500);
    }
  };

  const samples: Sample[] = [];
  const stalls = watchForStalls();
  const stolenShare = createStolenShare();
  const keepWatching = async () => {
    const begun = performance.now();
    say("minute  resident MB  heap MB  sockets  sessions known  event loop p99, max ms  stolen %");
    await stolenShare();
    for (let minute = 1; minute <= MINUTES; minute++) {
      await pause(Math.max(0, begun + minute * 60_000 - performance.now() - 500));
      const sample = await look(service, metricsUrl);
      samples.push(sample);
      const { residentMb, heapMb, sockets, known, loopMs, longestLoopMs } = sample;
      say(
        [minute, residentMb, heapMb, sockets, known, loopMs, longestLoopMs, await stolenShare()]
          .map((value) => String(value).padStart(9))
          .join(""),
      );
    }
  };

  await Promise.all([
    keepConnected(),
    keepRevoking(),
    keepLoggingIn(),
    keepAsking(),
    keepBreaking(),
    keepWatching(),
  ]);
  await Promise.all(clients);
  await dashboards.finish();
  await sql.end();
  await stalls.stop();
  report(samples, service, stalls);
}

/** Dashboards from now until they are finished, each of which has to be told every event. */
async function followEverything(
  url: string,
  sql: pg.Client,
): Promise<{ readonly finish: () => Promise<void> }> {
  const { data } = await post(
    url,
    `mutation { login(input: { email: "admin@localhost", password: "${PASSWORD}", returnToken: true }) { ... on LoginSuccess { token } } }`,
  );
  const { rows } = await sql.query<{ after: string }>("SELECT max(id)::text AS after FROM session_event");
  const after = rows[0]?.after ?? "0";
  const token = data?.login?.token ?? "";
  const dashboards = openDashboards(url, { count: DASHBOARDS, token, after, onProblem: problem });
  return {
    async finish() {
      const { rows } = await sql.query<{ events: number }>(
        "SELECT count(*)::int AS events FROM session_event WHERE id > $1",
        [after],
      );
      const events = rows[0]?.events ?? 0;
      const until = performance.now() + 10_000;
      while (dashboards.told().some((told) => told < events) && performance.now() < until) await pause(50);
      for (const told of dashboards.told()) {
        if (told !== events) problem(`a dashboard was told ${told} events of ${events}`);
      }
      counts[`events told to each of ${DASHBOARDS} dashboards`] = events;
      dashboards.close();
    },
  };
}

interface Sample {
  readonly residentMb: number;
  readonly heapMb: number;
  readonly sockets: number;
  readonly known: number;
  readonly loopMs: number;
  readonly longestLoopMs: number;
}

async function look(service: ServiceProcess, metricsUrl: string): Promise<Sample> {
  const text = await (await fetch(metricsUrl)).text();
  const status = await readFile(`/proc/${service.child.pid}/status`, "utf8");
  const metric = (name: string) => metricOf(text, name) ?? Number.NaN;
  return {
    residentMb: Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1_024),
    heapMb: Math.round(metric("nodejs_heap_size_used_bytes") / 1_048_576),
    sockets: metric("live_logout_sockets"),
    known: metric("live_logout_sessions_served"),
    loopMs: Math.round(metric("nodejs_eventloop_lag_p99_seconds") * 1_000),
    longestLoopMs: Math.round(metric("nodejs_eventloop_lag_max_seconds") * 1_000),
  };
}

function report(samples: readonly Sample[], service: ServiceProcess, stalls: Stalls): void {
  const settled = samples[Math.max(0, Math.round(samples.length * SETTLED_AFTER) - 1)];
  const last = samples.at(-1);
  const faults = service
    .output()
    .stderr.split("\n")
    .filter((line) => line.startsWith("{"))
    .map(
      (line) => JSON.parse(line) as { level: number; time: number; msg: string; err?: { message: string } },
    )
    .filter(({ level }) => level >= 50)
    .map(({ time, msg, err }) => ({ what: `in the node's log: ${msg}: ${err?.message ?? ""}`, at: time }));
  say("");
  for (const [what, times] of Object.entries(counts).toSorted()) say(`${String(times).padStart(9)}  ${what}`);
  const ratio = (last?.residentMb ?? 0) / (settled?.residentMb ?? 1);
  say(
    `resident: ${settled?.residentMb} MB after a sixth, ${last?.residentMb} MB at the end: ${ratio.toFixed(3)} of it`,
  );
  for (const { what, until, ms } of stalls.all) {
    say(`the ${what} stood still for ${(ms / 1_000).toFixed(1)} s until ${clock(until)}`);
  }
  const all = [...faults, ...problems];
  say(
    `problems: ${all.length}, ${all.filter(({ at }) => stalls.explain(at)).length} of them in such a standstill or just after`,
  );
  for (const [what, times] of Object.entries(Object.groupBy(all, ({ what }) => what))) {
    say(
      `${String(times?.length).padStart(9)}  ${what.slice(0, 200)}, first at ${clock(times?.[0]?.at ?? 0)}`,
    );
  }
  const isGood = all.length === 0 && Math.abs(ratio - 1) <= 0.1;
  say(isGood ? "Soaked: no error, and no leak." : "NOT as it should be.");
  process.exitCode = isGood ? 0 : 1;
}

function clock(at: number): string {
  return new Date(at).toISOString().slice(11, 19);
}

/** One client's life: it connects, subscribes, and is told if its session ends; or it misbehaves. */
async function live(url: string, held: Held, connected: Set<Held>, isOver: () => boolean): Promise<void> {
  const socket = new WebSocket(`${url.replace("http", "ws")}/graphql`, "graphql-transport-ws", {
    perMessageDeflate: false,
  });
  let failure: unknown;
  let wasTold = false;
  socket.on("error", (error) => {
    failure = error;
  });
  const closed = new Promise<number>((resolve) => socket.once("close", resolve));
  socket.on("open", () =>
    socket.send(
      JSON.stringify({ type: "connection_init", payload: { authorization: `Bearer ${held.token}` } }),
    ),
  );
  const acknowledged = new Promise<void>((resolve) => {
    socket.on("message", (data) => {
      const text = String(data);
      if (text.includes("connection_ack")) resolve();
      if (text.includes('"sessionRevoked"')) wasTold = true;
    });
  });
  const begun = await Promise.race([acknowledged.then(() => "open"), closed]);
  if (begun !== "open") {
    // Its session was ended just before, or it is.
    if (!held.isRevoked) throw new Error(`not let in: ${begun} ${failure ?? ""}`);
    return;
  }
  count("connected");
  const query = "subscription { sessionRevoked { reason } }";
  socket.send(JSON.stringify({ id: "1", type: "subscribe", payload: { query } }));
  const isMisbehaving = Math.random() * 100 < MISBEHAVING_PERCENT;
  if (isMisbehaving) beSlow(socket);
  // Once its subscription is there: whoever's session ends before hears it from the close alone.
  const settled = setTimeout(() => void (isMisbehaving || connected.add(held)), 5_000);
  const lifeMs = between(SHORTEST_LIFE_S, LONGEST_LIFE_S) * 1_000;
  const end = new AbortController();
  const code = await Promise.race([closed, leave(lifeMs, isOver, end.signal)]);
  end.abort();
  clearTimeout(settled);
  connected.delete(held);
  if (code !== undefined) {
    count(`closed with ${code}`);
    if (held.isRevoked && !(code === 4401 && wasTold))
      problem(`ended, and closed with ${code}, told: ${wasTold}`);
    if (!held.isRevoked && !isMisbehaving) problem(`closed with ${code} though its session lives`);
    return;
  }
  // Half say goodbye, half vanish.
  if (Math.random() < 0.5) socket.close(1000);
  else socket.terminate();
  count("left");
}

/** Resolves when it is time to leave. */
async function leave(lifeMs: number, isOver: () => boolean, signal: AbortSignal): Promise<undefined> {
  const until = performance.now() + lifeMs;
  while (performance.now() < until && !isOver() && !signal.aborted) await pause(1_000);
}

/** Asks for much and reads nothing for a while. */
function beSlow(socket: WebSocket): void {
  count("slow client");
  socket.pause();
  const query = "{ sessionEvents(first: 100) { edges { node { id sessionId type reason at } } } }";
  for (let id = 0; id < 50; id++) {
    socket.send(JSON.stringify({ id: `slow ${id}`, type: "subscribe", payload: { query } }));
  }
  setTimeout(() => socket.resume(), between(1_000, 40_000));
}

/** What is no client of ours: noise, half requests, silence. */
async function misbehave(url: string): Promise<void> {
  const { hostname, port, host } = new URL(url);
  const socket = connect(Number(port), hostname);
  socket.on("error", () => {});
  await once(socket, "connect").catch(() => {});
  const key = randomBytes(16).toString("base64");
  const upgrade = `GET /graphql HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n`;
  const kinds = [
    () => socket.write(randomBytes(500)),
    () => socket.write("POST /graphql HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{"),
    () => socket.write(upgrade),
    () => socket.write(Buffer.concat([Buffer.from(upgrade), randomBytes(200)])),
    () => socket.write(upgrade, () => socket.destroy()),
  ];
  kinds[Math.floor(Math.random() * kinds.length)]?.();
  setTimeout(() => socket.destroy(), 20_000);
}

/** Whether this token is somebody's. */
async function ask(url: string, token: string, query = "{ viewer { id } }"): Promise<boolean> {
  const { data } = await post(url, query, token);
  return data !== undefined && Object.values(data)[0] !== null;
}

interface Answer {
  readonly data?: { readonly login?: { readonly __typename: string; readonly token?: string } };
}

async function post(url: string, query: string, token?: string): Promise<Answer> {
  const response = await fetch(`${url}/graphql`, {
    method: "POST",
    headers: { "content-type": "application/json", ...(token ? { authorization: `Bearer ${token}` } : {}) },
    body: JSON.stringify({ query }),
  });
  const answer = (await response.json()) as Answer & { errors?: readonly { message: string }[] };
  if (answer.errors) problem(`a request: ${answer.errors[0]?.message}`);
  return answer;
}

async function makeUsers(sql: pg.Client): Promise<string[]> {
  const { rows } = await sql.query<{ id: string }>(
    `INSERT INTO users (id, email, name, password_hash)
     SELECT gen_random_uuid(), 'soak' || number || '@example.com', 'Soak', 'none' FROM generate_series(1, $1::int) AS number
     RETURNING id`,
    [USERS],
  );
  return rows.map(({ id }) => id);
}

async function makeSessions(sql: pg.Client, users: readonly string[], total: number): Promise<Held[]> {
  const made: Held[] = [];
  for (let start = 0; start < total; start += 5_000) {
    const batch = Array.from({ length: Math.min(5_000, total - start) }, () => ({
      id: randomUUID(),
      ...createToken("session"),
    }));
    await sql.query(
      `INSERT INTO sessions (id, user_id, token_hash, credential_version, expires_at)
       SELECT id, user_id, hash, 1, now() + interval '1 day' FROM unnest($1::uuid[], $2::uuid[], $3::text[]) AS given(id, user_id, hash)`,
      [
        batch.map(({ id }) => id),
        batch.map(() => users[Math.floor(Math.random() * users.length)]),
        batch.map(({ tokenHash }) => tokenHash),
      ],
    );
    for (const { id, token } of batch) made.push({ id, token, isRevoked: false });
  }
  return made;
}

async function inBatches<T>(
  items: readonly T[],
  atOnce: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const rest = items.values();
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      for (const item of rest) await work(item);
    }),
  );
}

const postgres = await createPostgresServer(["-c", "max_connections=100"]);
let service: ServiceProcess | undefined;
try {
  await postgres.start();
  await postgres.query("postgres", "CREATE DATABASE soak");
  const databaseUrl = `${postgres.url}/soak`;
  const metricsPort = await freePort();
  service = spawnService(
    {
      DATABASE_URL: databaseUrl,
      METRICS_PORT: String(metricsPort),
      LOG_LEVEL: "error",
      ADMIN_PASSWORD: PASSWORD,
      // All clients are at one address.
      SOCKETS_PER_ADDRESS: "1000000",
      SOCKETS_PER_USER: "1000000",
      LOGIN_FAILURES_PER_ADDRESS: "1000000",
    },
    // What MemoryMax=2G in the unit makes of it: on a machine with much memory V8 hardly ever collects.
    { nodeOptions: ["--max-old-space-size=1024"] },
  );
  const url = await service.ready();
  say(
    `soaking for ${MINUTES} minutes with ${SOCKETS} sockets; ${cpus().length} x ${cpus()[0]?.model}, Node ${process.version}`,
  );
  await soak(url, `http://127.0.0.1:${metricsPort}/metrics`, databaseUrl, service);
} finally {
  service?.child.kill("SIGTERM");
  await service?.exited;
  await postgres.remove();
}
