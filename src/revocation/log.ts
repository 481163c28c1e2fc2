import type { Listener } from "../database/database.ts";

/** The channel that the log's trigger notifies on; see the migration `sessions`. */
export const LOG_CHANNEL = "live_logout";

/** How many events one read takes at most, so that a mass logout does not come as one huge answer. */
export const LOG_PAGE_SIZE = 2_000;

/** A row of the log. `type` is open: a newer node may write types that this version does not know. */
export interface SessionEvent {
  /** The cursor: a decimal string, rising in commit order. */
  readonly id: string;
  readonly type: "SESSION_CREATED" | "SESSION_REVOKED" | "SESSION_CHANGED" | (string & {});
  readonly at: Date;
  readonly sessionId: string;
  readonly userId: string;
  readonly reason: string | null;
}

export interface LogPage {
  readonly events: readonly SessionEvent[];
  /** The database's clock when it answered. */
  readonly databaseNow: Date;
}

/** Reads what was committed after `cursor`, in commit order, up to a page. Throws when the database does. */
export async function readLog(listener: Listener, cursor: string): Promise<LogPage> {
  // The clock comes with every read, also with one that finds nothing: nodes judge expiry by it.
  const rows = await listener.query(
    `SELECT clock.now, event.id::text, event.type, event.at, event.session_id, event.user_id, event.reason
     FROM (SELECT clock_timestamp() AS now) AS clock
     LEFT JOIN LATERAL (
       SELECT * FROM session_event WHERE id > $1::bigint ORDER BY id LIMIT ${LOG_PAGE_SIZE}
     ) AS event ON true
     ORDER BY event.id`,
    [cursor],
  );
  const databaseNow = rows[0]?.["now"];
  if (!(databaseNow instanceof Date)) throw new Error("the log was read without the database's time");
  return { databaseNow, events: rows.filter((row) => row["id"] !== null).map(toEvent) };
}

/** The cursor after the newest event: where a node begins that has nothing in memory yet. */
export async function readLogHead(listener: Listener): Promise<string> {
  const rows = await listener.query("SELECT coalesce(max(id), 0)::text AS head FROM session_event", []);
  return String(rows[0]?.["head"] ?? "0");
}

function toEvent(row: Record<string, unknown>): SessionEvent {
  return {
    id: row["id"] as string,
    type: row["type"] as string,
    at: row["at"] as Date,
    sessionId: row["session_id"] as string,
    userId: row["user_id"] as string,
    reason: row["reason"] as string | null,
  };
}
