/** The process's own sense of time, injected so that tests can move it. */
export interface Clock {
  /** Milliseconds that only ever rise, whatever is done to the wall clock. For durations. */
  readonly monotonicMs: () => number;
}

export const systemClock: Clock = { monotonicMs: () => performance.now() };

/** A forward step of the wall clock by less than this may be its own correction. */
const SLEPT_AT_LEAST_MS = 500;

/**
 * Milliseconds that only ever rise, like the monotonic clock, but also while the machine sleeps (a laptop's lid, a
 * suspended virtual machine), which on Linux and macOS the monotonic clock does not count. Known only by the wall clock, so a wall
 * clock that is set forward counts as well. For what must not be believed too long; for nothing else.
 */
export function createElapsedClock(clock: Clock, wallMs: () => number = Date.now): () => number {
  let sleptMs = 0;
  let aheadMs = wallMs() - clock.monotonicMs();
  return () => {
    const monotonicMs = clock.monotonicMs();
    const steppedMs = wallMs() - monotonicMs - aheadMs;
    if (Math.abs(steppedMs) >= SLEPT_AT_LEAST_MS) {
      aheadMs += steppedMs;
      sleptMs += Math.max(0, steppedMs);
    }
    return monotonicMs + sleptMs;
  };
}

/**
 * The database's time as this node knows it: learned with every read of the log and carried on by the
 * monotonic clock. Expiry is judged by it, so that a node whose wall clock is wrong neither prolongs a
 * session nor cuts one short.
 */
export interface DatabaseClock {
  /** Milliseconds since the epoch. Throws before the first read of the log. */
  readonly now: () => number;
  readonly learn: (databaseNow: Date) => void;
}

export function createDatabaseClock(clock: Clock): DatabaseClock {
  let offsetMs: number | undefined;
  return {
    now() {
      if (offsetMs === undefined) throw new Error("the log was not read yet, so the time is not known");
      return clock.monotonicMs() + offsetMs;
    },
    learn(databaseNow) {
      offsetMs = databaseNow.getTime() - clock.monotonicMs();
    },
  };
}
