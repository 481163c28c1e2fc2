import { execFile } from "node:child_process";
import process from "node:process";
import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";
import pg from "pg";
import { now } from "../kit/clock.ts";
import { beginSessions, createBenchDatabase, endAllSessions } from "../kit/database.ts";
import { NODE_SETTINGS } from "../kit/node-settings.ts";
import { atLeast, type Case, median } from "../kit/report.ts";
import { startAll } from "../kit/server-process.ts";

const SESSIONS = 100_000;
const ROUNDS = 3;
const COLUMNS = "id, type, at, session_id, user_id, actor_id, reason, encode(row_hash, 'hex')";

/** The node is stopped as by a debugger while the log grows; then it goes on. */
export const logTail: Case = {
  name: "log-tail",
  title: `a node that missed ${2 * SESSIONS} events catches up, against psql reading the same rows`,
  async run() {
    const database = await createBenchDatabase();
    const { start, stop } = startAll();
    try {
      const node = await start("node.ts", { settings: { ...NODE_SETTINGS, DATABASE_URL: database.url } });
      const applied = () => node.ask<number>("applied");
      const ours: number[] = [];
      const theirs: number[] = [];
      let reader = "";
      for (let round = 0; round < ROUNDS; round++) {
        const known = await applied();
        process.kill(node.pid, "SIGSTOP");
        const [last] = (await database.sql.query("SELECT coalesce(max(id), 0) AS id FROM session_event"))
          .rows;
        await beginSessions(database.sql, SESSIONS);
        await endAllSessions(database.sql);
        process.kill(node.pid, "SIGCONT");
        const continuedAt = now();
        while ((await applied()) < known + 2 * SESSIONS) await pause(20);
        ours.push((2 * SESSIONS) / ((now() - continuedAt) / 1_000));
        const sql = `SELECT ${COLUMNS} FROM session_event WHERE id > ${last.id} ORDER BY id`;
        const startedAt = now();
        reader = await readAll(database.url, sql);
        theirs.push((2 * SESSIONS) / ((now() - startedAt) / 1_000));
      }
      return {
        table: [
          ["", "events per second", ""],
          [reader, median(theirs), 1],
          ["live-logout, read and applied", median(ours), median(ours) / median(theirs)],
        ],
        goals: [[atLeast(`events per second, of ${reader}'s`, 0.5, median(ours) / median(theirs))]],
      };
    } finally {
      await stop();
      await database.remove();
    }
  },
};

/** Reads and throws away. Says by what: the packages that bring PostgreSQL do not bring psql. */
async function readAll(url: string, sql: string): Promise<string> {
  try {
    await promisify(execFile)("psql", ["-X", "-q", "-A", "-t", "-o", "/dev/null", "-c", sql, url]);
    return "psql";
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    await client.query({ text: sql, rowMode: "array" });
    await client.end();
    return "the pg package (no psql here)";
  }
}
