import type { SessionEnd } from "./session-end.ts";

/** Which ends a follower hears of: those of one session, or those of all sessions of one user. */
export type FollowedKey = { readonly sessionId: string } | { readonly userId: string };

/** The ends of sessions, as they happen. Finishes after that of its own session. */
export interface SessionEnds extends AsyncIterableIterator<SessionEnd, undefined> {
  return(): Promise<IteratorResult<SessionEnd, undefined>>;
}

/** Who on this node wants to hear that sessions end, by session and by user. */
export interface Followers {
  readonly follow: (key: FollowedKey, ownSessionId: string) => SessionEnds;
  readonly tell: (end: SessionEnd) => void;
}

interface Follower {
  readonly hear: (end: SessionEnd) => void;
}

export function createFollowers(): Followers {
  const byKey = new Map<string, Set<Follower>>();

  return {
    follow(key, ownSessionId) {
      const name = "sessionId" in key ? key.sessionId : key.userId;
      // Each session ends once, so what a consumer that lags leaves here is bounded by the user's sessions.
      const unread: SessionEnd[] = [];
      let finished = false;
      let reader: ((result: IteratorResult<SessionEnd, undefined>) => void) | undefined;

      const follower: Follower = {
        hear(end) {
          if (end.sessionId === ownSessionId) finish();
          if (!reader) unread.push(end);
          else {
            reader({ value: end, done: false });
            reader = undefined;
          }
        },
      };
      const followers = byKey.get(name) ?? new Set();
      byKey.set(name, followers.add(follower));

      function finish() {
        finished = true;
        followers.delete(follower);
        if (followers.size === 0 && byKey.get(name) === followers) byKey.delete(name);
      }

      return {
        [Symbol.asyncIterator]() {
          return this;
        },
        next() {
          const value = unread.shift();
          if (value) return Promise.resolve({ value, done: false });
          if (finished) return Promise.resolve({ value: undefined, done: true });
          return new Promise((resolve) => {
            reader = resolve;
          });
        },
        // A hand-written iterator because a generator that waits for an event cannot be returned from.
        return() {
          finish();
          unread.length = 0;
          reader?.({ value: undefined, done: true });
          reader = undefined;
          return Promise.resolve({ value: undefined, done: true });
        },
      };
    },
    tell(end) {
      for (const name of [end.sessionId, end.userId]) {
        for (const follower of byKey.get(name) ?? []) follower.hear(end);
      }
    },
  };
}
