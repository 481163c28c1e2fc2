import type pg from "pg";
import { now } from "../kit/clock.ts";
import { beginSessions, createBenchDatabase, endAllSessions } from "../kit/database.ts";
import { NODE_SETTINGS } from "../kit/node-settings.ts";
import { atMost, type Case, percentile } from "../kit/report.ts";
import { startAll } from "../kit/server-process.ts";

const SESSIONS = 100_000;
/** So many are begun and ended after that: together the log has more than a million events. */
const MORE = 450_000;
const SINGLES = 500;

export const massRevocation: Case = {
  name: "mass-revocation",
  title: `${SESSIONS} sessions ended by one statement, and single ones with few and with a million events in the log`,
  async run() {
    const database = await createBenchDatabase();
    const { sql } = database;
    const { start, stop } = startAll();
    try {
      // Only for its migrations: what is measured is the database.
      const node = await start("node.ts", { settings: { ...NODE_SETTINGS, DATABASE_URL: database.url } });
      await node.stop();
      await beginSessions(sql, SINGLES);
      const few = await revokeSingly(sql);
      await beginSessions(sql, SESSIONS);
      const bulkMs = await endAllSessions(sql);
      await beginSessions(sql, MORE);
      await endAllSessions(sql);
      await sql.query("VACUUM ANALYZE");
      await beginSessions(sql, SINGLES);
      const many = await revokeSingly(sql);
      const events = await sql.query("SELECT count(*)::int AS count FROM session_event");
      const slower = percentile(many, 0.5) / percentile(few, 0.5);
      return {
        table: [
          ["", "ms", "p99 ms"],
          [`${SESSIONS} sessions by one statement, committed`, bulkMs, ""],
          ["one session, few events in the log (p50)", percentile(few, 0.5), percentile(few, 0.99)],
          [
            `one session, ${events.rows[0].count} events in the log (p50)`,
            percentile(many, 0.5),
            percentile(many, 0.99),
          ],
        ],
        goals: [
          [
            atMost(`seconds for ${SESSIONS}`, 2, bulkMs / 1_000),
            atMost("one with a million events, of one with few (p50)", 1.1, slower),
          ],
        ],
      };
    } finally {
      await stop();
      await database.remove();
    }
  },
};

async function revokeSingly(sql: pg.Client): Promise<number[]> {
  const { rows } = await sql.query<{ id: string }>("SELECT id FROM sessions WHERE revoked_at IS NULL");
  const milliseconds: number[] = [];
  for (const { id } of rows) {
    const sentAt = now();
    await sql.query("UPDATE sessions SET revoked_at = now() WHERE id = $1", [id]);
    milliseconds.push(now() - sentAt);
  }
  return milliseconds;
}
