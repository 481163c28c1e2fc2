import { createBenchDatabase, createSessions } from "../kit/database.ts";
import type { Load, LoadResult } from "../kit/load.ts";
import { NODE_SETTINGS } from "../kit/node-settings.ts";
import { atLeast, type Case, median } from "../kit/report.ts";
import { type BenchProcess, startAll } from "../kit/server-process.ts";

const CONNECTIONS = 32;
const ROUNDS = 5;
const ROUND_S = 3;
const WARM_UP_S = 2;
const PEOPLE = 50;

interface Contender {
  readonly name: string;
  readonly server: BenchProcess;
  readonly request: Omit<Load, "url" | "seconds" | "connections"> & { readonly path: string };
}

/** The same question to all of them: who is this? */
export const authenticatedRequest: Case = {
  name: "authenticated-request",
  title: `who is this? over HTTP keep-alive, ${CONNECTIONS} connections, ${PEOPLE} sessions`,
  async run() {
    const database = await createBenchDatabase();
    const { start, stop } = startAll();
    try {
      const settings = { DATABASE_URL: database.url };
      const node = await start("node.ts", { settings: { ...NODE_SETTINGS, ...settings } });
      const sessions = await createSessions(database.sql, { users: PEOPLE, each: 1 });
      await database.sql.query("CREATE DATABASE better_auth");
      const theirs = { DATABASE_URL: database.url.replace(/bench$/, "better_auth") };
      const plain = await start("peers/better-auth.ts", { settings: theirs });
      const cached = await start("peers/better-auth.ts", { settings: { ...theirs, COOKIE_CACHE: "yes" } });
      const viewer = {
        path: "/graphql",
        method: "POST",
        bodies: [JSON.stringify({ query: "{ viewer { id } }" })],
        sign: '"viewer"',
      } as const;
      const json = { "content-type": "application/json" };
      const anybody = { ...viewer, headers: [json] };
      const bearers = sessions.map(({ token }) => ({ ...json, authorization: `Bearer ${token}` }));
      const contenders: Contender[] = [
        { name: "bare node:http, a constant", server: await start("peers/bare-http.ts"), request: anybody },
        { name: "stock Yoga, no sessions", server: await start("peers/stock-yoga.ts"), request: anybody },
        { name: "live-logout", server: node, request: { ...viewer, headers: bearers } },
        { name: "Better Auth get-session", server: plain, request: await getSession(plain, "plain") },
        { name: "Better Auth, cookie cache", server: cached, request: await getSession(cached, "cached") },
      ];
      const clients = await start("peers/load.ts");
      return await race(contenders, clients);
    } finally {
      await stop();
      await database.remove();
    }
  },
};

async function getSession(server: BenchProcess, name: string): Promise<Contender["request"]> {
  const cookies: string[] = [];
  for (let person = 0; person < PEOPLE; person++) {
    cookies.push(await server.ask<string>("signUp", `${name}${person}@example.com`));
  }
  const headers = cookies.map((cookie) => ({ cookie }));
  return { path: "/api/auth/get-session", method: "GET", headers, sign: '"session"' };
}

/** In turns, so that whatever else the machine does is shared by all. */
async function race(contenders: readonly Contender[], clients: BenchProcess) {
  const results = contenders.map(() => [] as (LoadResult & { cpuMicroseconds: number })[]);
  for (let round = 0; round <= ROUNDS; round++) {
    for (const [index, { server, request }] of contenders.entries()) {
      const { path, ...rest } = request;
      const seconds = round === 0 ? WARM_UP_S : ROUND_S;
      const before = await server.ask<number>("processorMs");
      const load: Load = { ...rest, url: server.ready + path, seconds, connections: CONNECTIONS };
      const result = await clients.ask<LoadResult>("run", load);
      const after = await server.ask<number>("processorMs");
      const cpuMicroseconds = ((after - before) * 1_000) / (result.perSecond * seconds);
      if (round > 0) results[index]?.push({ ...result, cpuMicroseconds });
    }
  }
  const rows = results.map((rounds) => ({
    perSecond: median(rounds.map(({ perSecond }) => perSecond)),
    p99: median(rounds.map(({ p99 }) => p99)),
    cpu: median(rounds.map(({ cpuMicroseconds }) => cpuMicroseconds)),
  }));
  const [bare, yoga, ours, plain, cached] = rows.map(({ perSecond }) => perSecond) as [
    number,
    number,
    number,
    number,
    number,
  ];
  return {
    table: [
      ["", "requests/s", "of stock Yoga", "p99 ms", "processor µs each"],
      ...contenders.map(({ name }, index) => {
        const { perSecond, p99, cpu } = rows[index] ?? { perSecond: 0, p99: 0, cpu: 0 };
        return [name, perSecond, perSecond / yoga, p99, cpu];
      }),
    ],
    goals: [
      [atLeast("throughput, of stock Yoga's", 0.97, ours / yoga)],
      [
        atLeast("throughput, of Better Auth's", 4, ours / plain),
        atLeast("throughput, of Better Auth's with its cookie cache", 3, ours / cached),
      ],
      [{ what: "throughput, of bare node:http", wanted: "reported", got: ours / bare, isMet: true }],
    ],
  };
}
