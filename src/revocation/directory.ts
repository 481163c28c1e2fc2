import pLimit from "p-limit";
import { createDueTimes } from "./due-times.ts";
import { createFollowers, type Followers } from "./followers.ts";
import type { Lease, LeaseHooks, ServedSession } from "./lease.ts";
import type { SessionEvent, Subject } from "./log.ts";
import { toRevocationReason } from "./reasons.ts";
import type { RecentEvents } from "./recent-events.ts";
import { createServedSessions } from "./served-sessions.ts";
import type { SessionEnd } from "./session-end.ts";
import type { SessionKey, Snapshot } from "./snapshot.ts";
import { judge, type Validity, type ValidityRules } from "./validity.ts";

/** A load is repeated when the session changed meanwhile. Past this, somebody changes it without pause. */
const MAX_ATTEMPTS = 8;

/** How many sessions are verified at once after the log has changed, so that requests still get connections. */
const VERIFIED_AT_ONCE = 8;

/** How soon a session that is due is looked at again when the database could not be asked. */
const DUE_RETRY_MS = 1_000;

export interface DirectoryOptions {
  /** Reads a session and its user from the database, ended or not; null if there is none. */
  readonly load: (key: SessionKey) => Promise<Snapshot | null>;
  /** Gets each event that is applied, and is asked what a load has missed. */
  readonly recent: RecentEvents;
  /** The database's time in milliseconds since the epoch. */
  readonly now: () => number;
  readonly rules: ValidityRules;
  /** Whether the log was read so recently that memory may be believed (P3). Asked at each use. */
  readonly isFresh: () => boolean;
  /** Ends a session in the database that time has ended, unless the database knows of later use. */
  readonly endDue: (session: { readonly id: string }, now: number) => Promise<void>;
  /** Hears of each use of a session, to write `last_seen_at` later. */
  readonly onSeen: (sessionId: string, now: number) => void;
  readonly onError: (error: unknown) => void;
  /** How many sessions are kept; those that are held are kept beyond it. */
  readonly capacity: number;
}

type Resolution =
  | { readonly kind: "live"; readonly lease: Lease }
  | { readonly kind: "ended"; readonly end: SessionEnd }
  | { readonly kind: "unknown" };

/**
 * A node's view in memory of the sessions that it serves, kept coherent by the tail. Because each event of the
 * log is applied here, a session found here needs no query, and yet no revoked one is accepted.
 */
export interface Directory {
  /**
   * Finds the session of a token and takes a lease on it; the caller releases it. `use` counts as activity of
   * the user (an open socket does not). Throws when the database is needed and does not answer.
   */
  readonly resolve: (tokenHash: string, purpose: "use" | "connect") => Promise<Resolution>;
  /** Applies one event of the log. Called by the tail, in order. */
  readonly apply: (event: SessionEvent) => void;
  /**
   * Nothing that was read from the database until now is believed before the database has confirmed it, and the
   * leases that it cannot confirm are lost. Called by the tail, when another server answers, with the same log or another.
   */
  readonly doubt: (log: "same" | "another") => void;
  /**
   * Whether a lease may be trusted now: at once if memory can say so; while it is not fresh, or is in doubt, this asks the
   * database.
   */
  readonly confirm: (lease: Lease) => boolean | Promise<boolean>;
  readonly follow: Followers["follow"];
  /** Whether anybody here has to hear of this session's end: it is in memory, may be about to be, or is followed. */
  readonly isAwaited: (subject: Subject) => boolean;
  readonly isOnline: (sessionId: string) => boolean;
  /** How many sessions hold an open live connection here. */
  readonly countOnline: () => number;
  /** How many sessions are in memory. */
  readonly countServed: () => number;
  /** Ends the connected sessions whose time has come. Timers do this too; for when the clock may have jumped. */
  readonly endDueLeases: () => void;
}

export function createDirectory(options: DirectoryOptions): Directory {
  const sessions = createServedSessions(options.capacity);
  const loads = new Map<string, Promise<Resolution | undefined>>();
  let loadsUnderWay = 0;
  const { recent } = options;
  const followers = createFollowers();
  /** Sessions that were ended here before their event was read, so that followers hear of each once. */
  const endedBeforeEvent = new Set<string>();
  const verifying = pLimit(VERIFIED_AT_ONCE);
  const leaseHooks: LeaseHooks = { onReleased: sessions.tidy, onConnected: schedule, onUsed: noteUse };
  const dueTimes = createDueTimes<ServedSession>({
    now: options.now,
    isWanted: (served) => served.connections > 0,
    onDue(served) {
      if (!schedule(served)) void refresh(served);
    },
  });

  /** `seenHere` is the last use on this node, which the database may not know yet. */
  function judgeNow({ session, user }: Snapshot, seenHere: number): Validity {
    const lastSeenAt = new Date(Math.max(seenHere, session.lastSeenAt.getTime()));
    return judge({ ...session, lastSeenAt }, user, options.now(), options.rules);
  }

  function end(served: ServedSession, sessionEnd: SessionEnd): void {
    sessions.forget(served);
    // Followers first: ending the lease stops whatever would still tell them.
    followers.tell(sessionEnd);
    served.finish(sessionEnd);
  }

  function lose(served: ServedSession): void {
    sessions.forget(served);
    served.lose();
  }

  /** Sees to it that a connected session ends when its time comes. False if it has come. */
  function schedule(served: ServedSession): boolean {
    const validity = judgeNow(served.snapshot, served.lastSeenAt);
    if (validity.valid) dueTimes.add(served, validity.until);
    return validity.valid;
  }

  /** Takes what was read into memory. Leases that are held on the session live on. */
  function admit(snapshot: Snapshot): void {
    const served = sessions.put(snapshot);
    if (served.connections > 0) schedule(served);
  }

  /**
   * Reads a session and admits it if it is live. While the query ran, the tail may have applied the very event
   * that ended it; admitting what the query saw would resurrect it. So every event since the query began is
   * checked, in the same turn as the admission.
   */
  async function load(key: SessionKey): Promise<Resolution | undefined> {
    loadsUnderWay += 1;
    try {
      return await loadUntilSettled(key);
    } finally {
      loadsUnderWay -= 1;
    }
  }

  async function loadUntilSettled(key: SessionKey): Promise<Resolution | undefined> {
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const began = recent.position();
      const snapshot = await options.load(key);
      const missed = recent.since(began);
      if (!missed) continue;
      if (!snapshot) {
        const lost = "id" in key ? sessions.ofSession(key.id) : undefined;
        if (lost && !missed.some((event) => event.sessionId === lost.id)) lose(lost);
        return { kind: "unknown" };
      }
      if (missed.some((event) => event.sessionId === snapshot.session.id)) continue;
      const served = sessions.ofSession(snapshot.session.id);
      const validity = judgeNow(snapshot, served?.lastSeenAt ?? 0);
      if (validity.valid) {
        admit(snapshot);
        return undefined;
      }
      if (validity.due && attempt < MAX_ATTEMPTS - 1) {
        await options.endDue(snapshot.session, options.now());
        continue;
      }
      const sessionEnd = toSessionEnd(snapshot, validity.reason, validity.since);
      if (served) {
        endedBeforeEvent.add(served.id);
        end(served, sessionEnd);
      }
      return { kind: "ended", end: sessionEnd };
    }
    throw new Error("the session changed while it was read, again and again");
  }

  /** Concurrent loads of one session share a query. Not for use while memory is not fresh. */
  function loadOnce(key: SessionKey): Promise<Resolution | undefined> {
    const name = "id" in key ? key.id : key.tokenHash;
    let loading = loads.get(name);
    if (!loading) {
      loading = load(key).finally(() => loads.delete(name));
      loads.set(name, loading);
    }
    return loading;
  }

  /** Loads a session again that changed or is due, for the leases that are held on it. */
  async function refresh(served: ServedSession): Promise<void> {
    try {
      await loadOnce({ id: served.id });
    } catch (error) {
      options.onError(error);
      dueTimes.add(served, options.now() + DUE_RETRY_MS);
    }
  }

  /** Like {@link refresh}, but a holder is not kept waiting for a database that cannot be asked. */
  async function verify(served: ServedSession): Promise<void> {
    if (!served.isDoubted || served.end) return;
    try {
      await loadOnce({ id: served.id });
    } catch (error) {
      options.onError(error);
      lose(served);
    }
  }

  function noteUse(served: ServedSession): void {
    served.lastSeenAt = options.now();
    options.onSeen(served.id, served.lastSeenAt);
  }

  /** A lease if the session is in memory and valid; nothing is awaited between the judgement and the lease. */
  function take(tokenHash: string, purpose: "use" | "connect"): Lease | undefined {
    const served = sessions.ofToken(tokenHash);
    if (!served || served.isDoubted) return undefined;
    if (!judgeNow(served.snapshot, served.lastSeenAt).valid) {
      // Only the database knows whether it was used on another node meanwhile.
      sessions.hide(served);
      return undefined;
    }
    if (purpose === "use") noteUse(served);
    sessions.hold(served);
    // Room is made when a lease is released, not before: whoever loads a session takes a lease on it next.
    return served.lease(leaseHooks);
  }

  return {
    async resolve(tokenHash, purpose) {
      for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
        const fresh = options.isFresh();
        if (fresh) {
          const lease = take(tokenHash, purpose);
          if (lease) return { kind: "live", lease };
        }
        const outcome = await (fresh ? loadOnce({ tokenHash }) : load({ tokenHash }));
        if (outcome) return outcome;
        const lease = take(tokenHash, purpose);
        if (lease) return { kind: "live", lease };
        // It was evicted or changed between the load and this turn: once more.
      }
      throw new Error("the session could not be kept in memory");
    },

    confirm(lease) {
      if (lease.isOver) return false;
      const served = sessions.ofSession(lease.current.session.id);
      // Also when its time has come and the database, which has to end it, cannot be asked.
      const isBelieved = served && !served.isDoubted && judgeNow(served.snapshot, served.lastSeenAt).valid;
      if (isBelieved && options.isFresh()) return true;
      return load({ id: lease.current.session.id }).then((outcome) => outcome === undefined && !lease.isOver);
    },

    apply(event) {
      recent.add(event);
      const served = sessions.ofSession(event.sessionId);
      if (event.type === "SESSION_REVOKED") {
        const sessionEnd: SessionEnd = {
          sessionId: event.sessionId,
          userId: event.userId,
          reason: toRevocationReason(event.reason),
          revokedAt: event.at,
        };
        const wasTold = endedBeforeEvent.delete(event.sessionId);
        if (served) end(served, sessionEnd);
        else if (!wasTold) followers.tell(sessionEnd);
        return;
      }
      // Whoever has loaded a session has seen at least its beginning.
      if (!served || event.type === "SESSION_CREATED") return;
      // Changed, or of a type that only a newer version knows: what is in memory is no longer to be believed.
      sessions.hide(served);
      served.isDoubted = true;
      if (served.leases > 0) void refresh(served);
      else sessions.forget(served);
    },

    doubt(log) {
      recent.doubt();
      sessions.hideAll();
      // In another log their events may never come.
      if (log === "another") endedBeforeEvent.clear();
      for (const served of sessions.all()) {
        served.isDoubted = true;
        if (served.leases > 0) void verifying(() => verify(served));
        else sessions.forget(served);
      }
    },

    follow: followers.follow,

    isAwaited: ({ sessionId, userId }) =>
      loadsUnderWay > 0 ||
      sessions.ofSession(sessionId) !== undefined ||
      followers.has(sessionId) ||
      followers.has(userId),

    isOnline: (sessionId) => (sessions.ofSession(sessionId)?.connections ?? 0) > 0,

    countOnline() {
      let count = 0;
      for (const { connections } of sessions.all()) if (connections > 0) count += 1;
      return count;
    },

    countServed: sessions.size,

    endDueLeases: dueTimes.check,
  };
}

function toSessionEnd(snapshot: Snapshot, reason: SessionEnd["reason"], revokedAt: Date): SessionEnd {
  return { sessionId: snapshot.session.id, userId: snapshot.session.userId, reason, revokedAt };
}
