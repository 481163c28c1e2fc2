import { createFollowers, type FollowedKey, type SessionEnds } from "./followers.ts";
import { type Lease, ServedSession } from "./lease.ts";
import type { SessionEvent } from "./log.ts";
import { toRevocationReason } from "./reasons.ts";
import { createRecentEvents } from "./recent-events.ts";
import type { SessionEnd } from "./session-end.ts";
import type { SessionKey, Snapshot } from "./snapshot.ts";
import { judge, type Validity, type ValidityRules } from "./validity.ts";

/** How many events a load may miss and still be checked against them; more, and it is repeated. */
const RECENT_EVENTS = 4_096;

/** A load is repeated when the session changed meanwhile. Past this, somebody changes it without pause. */
const MAX_ATTEMPTS = 8;

export interface DirectoryOptions {
  /** Reads a session and its user from the database, ended or not; null if there is none. */
  readonly load: (key: SessionKey) => Promise<Snapshot | null>;
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
  /** Whether a lease may be trusted now; while memory is not fresh this asks the database. */
  readonly confirm: (lease: Lease) => Promise<boolean>;
  readonly follow: (key: FollowedKey, ownSessionId: string) => SessionEnds;
  readonly isOnline: (sessionId: string) => boolean;
  /** Ends the sessions with open leases whose time has come. To be called about once a second. */
  readonly endDueLeases: () => void;
}

export function createDirectory(options: DirectoryOptions): Directory {
  const byTokenHash = new Map<string, ServedSession>();
  const bySessionId = new Map<string, ServedSession>();
  const loads = new Map<string, Promise<Resolution | undefined>>();
  const recent = createRecentEvents(RECENT_EVENTS);
  const followers = createFollowers();
  /** Sessions that were ended here before their event was read, so that followers hear of each once. */
  const endedBeforeEvent = new Set<string>();

  /** `seenHere` is the last use on this node, which the database may not know yet. */
  function judgeNow({ session, user }: Snapshot, seenHere: number): Validity {
    const lastSeenAt = new Date(Math.max(seenHere, session.lastSeenAt.getTime()));
    return judge({ ...session, lastSeenAt }, user, options.now(), options.rules);
  }

  function end(served: ServedSession, sessionEnd: SessionEnd): void {
    forget(served);
    // Followers first: ending the lease stops whatever would still tell them.
    followers.tell(sessionEnd);
    served.finish(sessionEnd);
  }

  function forget(served: ServedSession): void {
    const { tokenHash } = served.snapshot.session;
    if (byTokenHash.get(tokenHash) === served) byTokenHash.delete(tokenHash);
    if (bySessionId.get(served.id) === served) bySessionId.delete(served.id);
  }

  /** Takes what was read into memory. Leases that are held on the session live on. */
  function admit(snapshot: Snapshot): void {
    let served = bySessionId.get(snapshot.session.id);
    if (served) {
      const { tokenHash } = served.snapshot.session;
      if (byTokenHash.get(tokenHash) === served) byTokenHash.delete(tokenHash);
      served.snapshot = snapshot;
      served.lastSeenAt = Math.max(served.lastSeenAt, snapshot.session.lastSeenAt.getTime());
    } else {
      served = new ServedSession(snapshot);
      bySessionId.set(served.id, served);
    }
    byTokenHash.set(snapshot.session.tokenHash, served);
  }

  function onReleased(served: ServedSession): void {
    const isFindable = byTokenHash.get(served.snapshot.session.tokenHash) === served;
    if (served.leases === 0 && !isFindable) forget(served);
    evict();
  }

  /**
   * Forgets the sessions used longest ago, as far as nobody holds them. Only when a lease was released: whoever
   * loads a session takes a lease on it next, and must still find it.
   */
  function evict(): void {
    let surplus = byTokenHash.size - options.capacity;
    if (surplus <= 0) return;
    for (const served of byTokenHash.values()) {
      if (served.leases > 0) continue;
      forget(served);
      surplus -= 1;
      if (surplus <= 0) return;
    }
  }

  /**
   * Reads a session and admits it if it is live. While the query ran, the tail may have applied the very event
   * that ended it; admitting what the query saw would resurrect it. So every event since the query began is
   * checked, in the same turn as the admission.
   */
  async function load(key: SessionKey): Promise<Resolution | undefined> {
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const began = recent.position();
      const snapshot = await options.load(key);
      if (!snapshot) return { kind: "unknown" };
      const missed = recent.since(began);
      if (!missed || missed.some((event) => event.sessionId === snapshot.session.id)) continue;
      const served = bySessionId.get(snapshot.session.id);
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

  /** Loads a changed session again, for the leases that are held on it. */
  async function refresh(served: ServedSession): Promise<void> {
    try {
      await loadOnce({ id: served.id });
    } catch (error) {
      options.onError(error);
    }
  }

  /** A lease if the session is in memory and valid; nothing is awaited between the judgement and the lease. */
  function take(tokenHash: string, purpose: "use" | "connect"): Lease | undefined {
    const served = byTokenHash.get(tokenHash);
    if (!served) return undefined;
    if (!judgeNow(served.snapshot, served.lastSeenAt).valid) {
      // Only the database knows whether it was used on another node meanwhile.
      byTokenHash.delete(tokenHash);
      return undefined;
    }
    if (purpose === "use") {
      const now = options.now();
      served.lastSeenAt = now;
      options.onSeen(served.id, now);
    }
    // A Map keeps the order of insertion: moving to its end is what makes it least-recently-used.
    byTokenHash.delete(tokenHash);
    byTokenHash.set(tokenHash, served);
    return served.lease(onReleased);
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

    async confirm(lease) {
      if (lease.ended) return false;
      if (options.isFresh()) return true;
      const outcome = await load({ id: lease.current.session.id });
      return outcome === undefined && lease.ended === undefined;
    },

    apply(event) {
      recent.add(event);
      const served = bySessionId.get(event.sessionId);
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
      if (!served) return;
      // Changed, or of a type that only a newer version knows: what is in memory is no longer to be believed.
      byTokenHash.delete(served.snapshot.session.tokenHash);
      if (served.leases > 0) void refresh(served);
      else forget(served);
    },

    follow: followers.follow,

    isOnline: (sessionId) => (bySessionId.get(sessionId)?.connections ?? 0) > 0,

    endDueLeases() {
      for (const served of bySessionId.values()) {
        if (served.leases > 0 && !judgeNow(served.snapshot, served.lastSeenAt).valid) void refresh(served);
      }
    },
  };
}

function toSessionEnd(snapshot: Snapshot, reason: SessionEnd["reason"], revokedAt: Date): SessionEnd {
  return { sessionId: snapshot.session.id, userId: snapshot.session.userId, reason, revokedAt };
}
