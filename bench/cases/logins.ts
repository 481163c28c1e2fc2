import argon2 from "argon2";
import { createBenchDatabase, createSessions } from "../kit/database.ts";
import type { Load, LoadResult } from "../kit/load.ts";
import { NODE_SETTINGS } from "../kit/node-settings.ts";
import { atLeast, atMost, type Case, median } from "../kit/report.ts";
import { startAll } from "../kit/server-process.ts";

const ROUNDS = 3;
const SECONDS = 4;
const PEOPLE = 50;
const PASSWORD = "a password of theirs";
/** More than can be hashed at once, less than are turned away. */
const LOGGING_IN = 8;
const ASKING = 8;

export const logins: Case = {
  name: "logins",
  title: `${LOGGING_IN} people log in without pause, against bare argon2 on as many threads; and those who ask meanwhile`,
  async run() {
    const database = await createBenchDatabase();
    const { start, stop } = startAll();
    try {
      const node = await start("node.ts", { settings: { ...NODE_SETTINGS, DATABASE_URL: database.url } });
      const sessions = await createSessions(database.sql, { users: PEOPLE, each: 1 });
      const hash = await argon2.hash(PASSWORD, { memoryCost: 19_456, timeCost: 2, parallelism: 1 });
      await database.sql.query("UPDATE users SET password_hash = $1 WHERE password_hash = 'none'", [hash]);
      // The new hash has ended these sessions.
      const asking = await createSessions(database.sql, { users: PEOPLE, each: 1 });
      const emails = [...new Set(sessions.map(({ userId }) => `${userId}@example.com`))];
      const bare = await start("peers/bare-argon2.ts");
      const [guests, askers] = [await start("peers/load.ts"), await start("peers/load.ts")];
      const json = { "content-type": "application/json" };
      const query =
        "mutation ($input: LoginInput!) { login(input: $input) { __typename ... on LoginSuccess { token } } }";
      const login: Load = {
        url: `${node.ready}/graphql`,
        method: "POST",
        seconds: SECONDS,
        connections: LOGGING_IN,
        headers: [json],
        bodies: emails.map((email) =>
          JSON.stringify({ query, variables: { input: { email, password: PASSWORD, returnToken: true } } }),
        ),
        sign: "LoginSuccess",
      };
      const ask: Load = {
        url: `${node.ready}/graphql`,
        method: "POST",
        seconds: SECONDS,
        connections: ASKING,
        // So that they leave some of the processor's time: what is compared is how long they wait.
        perSecond: 200,
        headers: asking.map(({ token }) => ({ ...json, authorization: `Bearer ${token}` })),
        bodies: [JSON.stringify({ query: "{ viewer { id } }" })],
        sign: '"viewer"',
      };
      const rounds = {
        ours: [] as number[],
        bare: [] as number[],
        quiet: [] as number[],
        busy: [] as number[],
      };
      for (let round = 0; round <= ROUNDS; round++) {
        const verified = await bare.ask<number>("verify", { hash, password: PASSWORD, seconds: SECONDS });
        const alone = await guests.ask<LoadResult>("run", login);
        const quiet = await askers.ask<LoadResult>("run", ask);
        const [, busy] = await Promise.all([
          guests.ask<LoadResult>("run", login),
          askers.ask<LoadResult>("run", ask),
        ]);
        if (round === 0) continue;
        rounds.bare.push(verified);
        rounds.ours.push(alone.perSecond);
        rounds.quiet.push(quiet.p99);
        rounds.busy.push(busy.p99);
      }
      const [ours, theirs] = [median(rounds.ours), median(rounds.bare)];
      const [quiet, busy] = [median(rounds.quiet), median(rounds.busy)];
      return {
        table: [
          ["", "", ""],
          ["bare argon2, verified per second", theirs, 1],
          ["live-logout, logins per second", ours, ours / theirs],
          ["p99 ms of { viewer { id } }, quiet", quiet, 1],
          ["p99 ms of { viewer { id } }, meanwhile", busy, busy / quiet],
        ],
        goals: [
          [
            atLeast("logins per second, of bare argon2's", 0.9, ours / theirs),
            atMost("p99 of others meanwhile, of the quiet p99", 3, busy / quiet),
          ],
        ],
      };
    } finally {
      await stop();
      await database.remove();
    }
  },
};
