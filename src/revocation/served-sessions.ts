import { LRUCache } from "lru-cache";
import { ServedSession } from "./lease.ts";
import type { Snapshot } from "./snapshot.ts";

/** So many more than there is room for may be in memory between being read and being leased, which is when they count. */
const ROOM_FOR_LOADS = 1_000;

/**
 * The sessions that a node has in memory, found by their id, and by their token as long as they may be used without asking
 * the database. Those used longest ago are forgotten first, but never one that somebody holds.
 */
export interface ServedSessions {
  readonly ofToken: (tokenHash: string) => ServedSession | undefined;
  readonly ofSession: (sessionId: string) => ServedSession | undefined;
  /** Takes in what was read; leases that are held on the session live on. */
  readonly put: (snapshot: Snapshot) => ServedSession;
  /** It is not to be forgotten until it is tidied: a lease on it is about to be taken. */
  readonly hold: (served: ServedSession) => void;
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
  const byTokenHash = new Map<string, ServedSession>();
  const bySessionId = new Map<string, ServedSession>();
  // Those that a token leads to and nobody holds. Apart from the others, so that the one to forget is found at once however
  // many are held.
  const idle = new LRUCache<string, ServedSession>({
    max: capacity + ROOM_FOR_LOADS,
    dispose: (served, _id, why) => why === "evict" && forget(served),
  });

  function hide(served: ServedSession): void {
    const { tokenHash } = served.snapshot.session;
    if (byTokenHash.get(tokenHash) === served) byTokenHash.delete(tokenHash);
    if (idle.peek(served.id) === served) idle.delete(served.id);
  }

  function forget(served: ServedSession): void {
    hide(served);
    if (bySessionId.get(served.id) === served) bySessionId.delete(served.id);
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
      if (served.leases === 0) idle.set(served.id, served);
      return served;
    },
    hold: (served) => void idle.delete(served.id),
    hide,
    hideAll() {
      byTokenHash.clear();
      idle.clear();
    },
    forget,
    tidy(released) {
      if (released.leases === 0) {
        const isFindable = byTokenHash.get(released.snapshot.session.tokenHash) === released;
        if (isFindable) idle.set(released.id, released);
        else forget(released);
      }
      while (byTokenHash.size > capacity && idle.size > 0) idle.pop();
    },
    all: () => bySessionId.values(),
    size: () => bySessionId.size,
  };
}
