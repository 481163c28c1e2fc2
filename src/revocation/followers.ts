import type { SessionEnd } from "./session-end.ts";

/** Which ends a follower hears of: those of one session, or those of all sessions of one user. */
export type FollowedKey = { readonly sessionId: string } | { readonly userId: string };

/** What each end of a session is turned into for one who follows them, as they happen. Finishes after that of its own session. */
export interface SessionEnds<T> extends AsyncIterableIterator<T, undefined> {
  return(): Promise<IteratorResult<T, undefined>>;
}

/** Who on this node wants to hear that sessions end, by session and by user. */
export interface Followers {
  /** `turnInto` is called in the turn in which an end is told. Must not throw. */
  readonly follow: <T>(
    key: FollowedKey,
    ownSessionId: string,
    turnInto: (end: SessionEnd) => T,
  ) => SessionEnds<T>;
  readonly tell: (end: SessionEnd) => void;
  /** Whether there is one for this session or user. */
  readonly has: (id: string) => boolean;
}

export function createFollowers(): Followers {
  // Mostly there is one of a key, so they are chained: a set for each would be the larger part.
  const firstByKey = new Map<string, Follower<unknown>>();

  function leave(leaving: Follower<unknown>): void {
    const first = firstByKey.get(leaving.name);
    if (first === leaving) {
      if (leaving.sibling) firstByKey.set(leaving.name, leaving.sibling);
      else firstByKey.delete(leaving.name);
      return;
    }
    for (let one = first; one; one = one.sibling) {
      if (one.sibling === leaving) one.sibling = leaving.sibling;
    }
  }

  return {
    follow(key, ownSessionId, turnInto) {
      const name = "sessionId" in key ? key.sessionId : key.userId;
      const follower = new Follower(name, ownSessionId, turnInto, leave);
      follower.sibling = firstByKey.get(name);
      firstByKey.set(name, follower as Follower<unknown>);
      return follower;
    },
    tell(end) {
      for (const name of [end.sessionId, end.userId]) {
        // Whoever leaves while it is told keeps its place in the chain until then.
        for (let one = firstByKey.get(name); one; one = one.sibling) one.hear(end);
      }
    },
    has: (id) => firstByKey.has(id),
  };
}

/** A class because a generator that waits for an event cannot be returned from, and because each open client has one. */
class Follower<T> implements SessionEnds<T> {
  readonly name: string;
  /** The next one in the chain of this name. */
  sibling: Follower<unknown> | undefined;
  readonly #ownSessionId: string;
  readonly #turnInto: (end: SessionEnd) => T;
  readonly #leave: (follower: Follower<unknown>) => void;
  // Each session ends once, so what a consumer that lags leaves here is bounded by the user's sessions.
  #unread: T[] | undefined;
  #isFinished = false;
  #reader: ((result: IteratorResult<T, undefined>) => void) | undefined;

  constructor(
    name: string,
    ownSessionId: string,
    turnInto: (end: SessionEnd) => T,
    leave: (follower: Follower<unknown>) => void,
  ) {
    this.name = name;
    this.#ownSessionId = ownSessionId;
    this.#turnInto = turnInto;
    this.#leave = leave;
  }

  hear(end: SessionEnd): void {
    if (end.sessionId === this.#ownSessionId) this.#finish();
    const value = this.#turnInto(end);
    if (this.#reader) {
      this.#reader({ value, done: false });
      this.#reader = undefined;
    } else {
      this.#unread ??= [];
      this.#unread.push(value);
    }
  }

  next(): Promise<IteratorResult<T, undefined>> {
    if (this.#unread?.length) return Promise.resolve({ value: this.#unread.shift() as T, done: false });
    if (this.#isFinished) return Promise.resolve({ value: undefined, done: true });
    return new Promise((resolve) => {
      this.#reader = resolve;
    });
  }

  return(): Promise<IteratorResult<T, undefined>> {
    this.#finish();
    this.#unread = undefined;
    this.#reader?.({ value: undefined, done: true });
    this.#reader = undefined;
    return Promise.resolve({ value: undefined, done: true });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #finish(): void {
    this.#isFinished = true;
    this.#leave(this as Follower<unknown>);
  }
}
