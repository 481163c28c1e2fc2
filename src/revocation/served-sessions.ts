import { ServedSession } from "./lease.ts";
import type { Snapshot } from "./snapshot.ts";

/**
 * The sessions that a node has in memory, found by their id, and by their token as long as they may be used without asking
 * the database. Those used longest ago are forgotten first, but never one that somebody holds.
 */
export interface ServedSessions {
  readonly ofToken: (tokenHash: string) => ServedSession | undefined;
  readonly ofSession: (sessionId: string) => ServedSession | undefined;
  /** Takes in what was read; leases that are held on the session live on. */
  readonly put: (snapshot: Snapshot) => ServedSession;
  /** Makes it the one used last. */
  readonly touch: (served: ServedSession) => void;
  /** Its token does not lead to it any more, until it is put again. */
  readonly hide: (served: ServedSession) => void;
  readonly hideAll: () => void;
  readonly forget: (served: ServedSession) => void;
  /** Forgets what is more than there is room for, and `released` if no token leads to it. Called when a lease was released. */
  readonly tidy: (released: ServedSession) => void;
  readonly all: () => Iterable<ServedSession>;
  readonly size: () => number;
}

/** `capacity`: how many are kept; those that are held are kept beyond it. */
export function createServedSessions(capacity: number): ServedSessions {
  // A Map keeps the order of insertion: moving to its end is what makes it least-recently-used.
  const byTokenHash = new Map<string, ServedSession>();
  const bySessionId = new Map<string, ServedSession>();

  function hide(served: ServedSession): void {
    const { tokenHash } = served.snapshot.session;
    if (byTokenHash.get(tokenHash) === served) byTokenHash.delete(tokenHash);
  }

  function forget(served: ServedSession): void {
    hide(served);
    if (bySessionId.get(served.id) === served) bySessionId.delete(served.id);
  }

  function evict(): void {
    let surplus = byTokenHash.size - capacity;
    if (surplus <= 0) return;
    for (const served of byTokenHash.values()) {
      if (served.leases > 0) continue;
      forget(served);
      surplus -= 1;
      if (surplus <= 0) return;
    }
  }

  return {
    ofToken: (tokenHash) => byTokenHash.get(tokenHash),
    ofSession: (sessionId) => bySessionId.get(sessionId),
    put(snapshot) {
      let served = bySessionId.get(snapshot.session.id);
      if (served) {
        // The token may be another than before.
        hide(served);
        served.snapshot = snapshot;
        served.lastSeenAt = Math.max(served.lastSeenAt, snapshot.session.lastSeenAt.getTime());
      } else {
        served = new ServedSession(snapshot);
        bySessionId.set(served.id, served);
      }
      served.isDoubted = false;
      byTokenHash.set(snapshot.session.tokenHash, served);
      return served;
    },
    touch(served) {
      const { tokenHash } = served.snapshot.session;
      byTokenHash.delete(tokenHash);
      byTokenHash.set(tokenHash, served);
    },
    hide,
    hideAll: () => byTokenHash.clear(),
    forget,
    tidy(released) {
      const isFindable = byTokenHash.get(released.snapshot.session.tokenHash) === released;
      if (released.leases === 0 && !isFindable) forget(released);
      evict();
    },
    all: () => bySessionId.values(),
    size: () => bySessionId.size,
  };
}
