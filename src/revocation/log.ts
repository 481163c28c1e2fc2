import type { Listener } from "../database/database.ts";

/** The channel that the log's trigger notifies on; see the migration `sessions`. */
export const LOG_CHANNEL = "live_logout";

/** The one session that a transaction has written of in the log, as its notification says. A hint, and no more: anybody may send one. */
export interface Subject {
  readonly sessionId: string;
  readonly userId: string;
}

/** What a notification is about; undefined if it does not say, as that of a transaction that wrote of several sessions. */
export function subjectOf(payload: string): Subject | undefined {
  const [sessionId, userId] = payload.split(" ");
  return sessionId && userId ? { sessionId, userId } : undefined;
}

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
  /** Who did it; null: the system. */
  readonly actorId: string | null;
  readonly reason: string | null;
  /** Chained over this row and all before it, hexadecimal. */
  readonly rowHash: string;
}

/**
 * A place in the log that is anchored: the row of this id must still have this hash. Ids alone are used again after
 * a failover that lost commits, and reading after such an id would skip events for ever.
 */
export interface Anchor {
  readonly id: string;
  readonly rowHash: string;
}

/** Before the first event of all. It anchors nothing: no event was read that could have changed. */
export const LOG_BEGINNING: Anchor = { id: "0", rowHash: "" };

export interface LogPage {
  readonly events: readonly SessionEvent[];
  /** Whether the row that the read began at is still what it was. If not, the events say nothing. */
  readonly isAnchored: boolean;
  /** The database's clock when it answered. */
  readonly databaseNow: Date;
  /** Changes when the server was restarted or is another one, or the database was made anew. */
  readonly serverIdentity: string;
}

// The clock comes with every read, also with one that finds nothing: nodes judge expiry by it. It has a row of its own, before
// the others, because thousands of events may come with it.
const statement = (which: string) =>
  `SELECT pg_is_in_recovery() AS is_standby,
          pg_postmaster_start_time()::text || (SELECT oid FROM pg_database WHERE datname = current_database())
            AS identity,
          NULL::bigint AS id, NULL AS type, (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS at,
          NULL::uuid AS session_id, NULL::uuid AS user_id, NULL::uuid AS actor_id, NULL AS reason, NULL AS row_hash
   UNION ALL
   SELECT NULL, NULL, id, type, (extract(epoch FROM at) * 1000)::float8, session_id, user_id, actor_id, reason,
          encode(row_hash, 'hex')
   FROM (SELECT * FROM session_event ${which}) AS event
   ORDER BY id NULLS FIRST`;
const READ_NEWEST = statement("ORDER BY id DESC LIMIT 1");
const READ_FROM = statement(`WHERE id >= $1::bigint ORDER BY id LIMIT ${LOG_PAGE_SIZE + 1}`);

/**
 * Reads what was committed after the anchor, in commit order, up to a page; without an anchor only the newest event.
 * Throws when the database does, and when it is a standby, whose log may lag behind.
 */
export async function readLog(listener: Listener, anchor: Anchor | undefined): Promise<LogPage> {
  const [server, ...rows] = await (anchor
    ? listener.query(READ_FROM, [anchor.id])
    : listener.query(READ_NEWEST, []));
  const now = server?.["at"];
  if (typeof now !== "number") throw new Error("the log was read without the database's time");
  if (server?.["is_standby"]) throw new Error("a standby answers, which may not have the whole log yet");
  const found = rows.map(toEvent);
  const hasAnchorRow = anchor !== undefined && anchor !== LOG_BEGINNING;
  return {
    databaseNow: new Date(now),
    serverIdentity: String(server?.["identity"]),
    events: hasAnchorRow ? found.slice(1) : found,
    isAnchored: !hasAnchorRow || (found[0]?.id === anchor.id && found[0].rowHash === anchor.rowHash),
  };
}

function toEvent(row: Record<string, unknown>): SessionEvent {
  return {
    // A number where the embedded database answers.
    id: String(row["id"]),
    type: row["type"] as string,
    at: new Date(row["at"] as number),
    sessionId: row["session_id"] as string,
    userId: row["user_id"] as string,
    actorId: row["actor_id"] as string | null,
    reason: row["reason"] as string | null,
    rowHash: row["row_hash"] as string,
  };
}
