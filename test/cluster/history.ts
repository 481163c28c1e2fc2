/** What happened in a run, all times in milliseconds of the tester's one monotonic clock. */
export interface History {
  readonly operations: Operation[];
  readonly revocations: Revocation[];
  readonly sockets: SocketLife[];
  readonly faults: Fault[];
  readonly nodeLives: NodeLife[];
  readonly feeds: FeedLife[];
  /** What went wrong by itself: a node that did not exit in order, a client that was never told. */
  readonly incidents: string[];
}

/** Something that was asked of a node on behalf of a session. */
export interface Operation {
  readonly kind: "query" | "socketQuery" | "connect";
  readonly node: number;
  readonly sessionId: string;
  readonly invoke: number;
  readonly complete: number;
  /**
   * `ok`: served as that session. `ended`: told that it ended, and why. `nobody`: not known (any more).
   * `unavailable`: told to come back. `unknown`: no answer, so it may or may not have taken place.
   */
  readonly outcome: "ok" | "ended" | "nobody" | "unavailable" | "unknown";
  readonly reason?: string | undefined;
}

/** An attempt to end sessions: one by its id, or all of a user. */
export interface Revocation {
  readonly way: string;
  readonly target: { readonly sessionId: string } | { readonly userId: string };
  readonly invoke: number;
  readonly complete: number;
  /** Whether it was confirmed. If not, it may or may not have taken place. */
  readonly isConfirmed: boolean;
  /** Of plain SQL: the transaction that did it. */
  readonly transactionId?: string | undefined;
  /** Of a mutation: the node that confirmed it. */
  readonly node?: number | undefined;
  /** How long after the commit it falls due, for a session whose expiry was brought forward. */
  readonly delayMs?: number | undefined;
}

/** One connection of a client that subscribes to its session's end. */
export interface SocketLife {
  readonly sessionId: string;
  readonly node: number;
  /** When the server was known to have the subscription; undefined if it never was. */
  readonly subscribedAt: number | undefined;
  readonly told: readonly { readonly at: number; readonly reason: string }[];
  /** Whether the server said that nothing more comes of the subscription: a library's client does not come back then. */
  readonly isCompleted: boolean;
  readonly closedAt: number;
  /** 1006 if it was cut. */
  readonly code: number;
  readonly reason: string;
}

export interface Fault {
  readonly kind: string;
  readonly node?: number | undefined;
  readonly start: number;
  readonly end: number;
  /** Whether the node could reach the database by no path. */
  readonly isPartition: boolean;
}

/** One process of a node, and the ids of the events that it applied, in its order. */
interface NodeLife {
  readonly node: number;
  readonly applied: readonly string[];
  /** Whether it lived to the end of the run. */
  readonly isAlive: boolean;
}

/** What a client of one node was told by `sessionEvents(after)`, over all its connections. */
export interface FeedLife {
  readonly node: number;
  readonly ids: readonly string[];
  readonly connections: number;
}

/** A row of the log, as it stood at the end. */
export interface LogRow {
  readonly id: string;
  readonly type: string;
  readonly sessionId: string;
  readonly userId: string;
  readonly reason: string | null;
  readonly transactionId: string;
}

export function createHistory(): History {
  return {
    operations: [],
    revocations: [],
    sockets: [],
    faults: [],
    nodeLives: [],
    feeds: [],
    incidents: [],
  };
}
