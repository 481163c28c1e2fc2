/** The process's own sense of time, injected so that tests can move it. */
export interface Clock {
  /** Milliseconds that only ever rise, whatever is done to the wall clock. For durations. */
  readonly monotonicMs: () => number;
}

export const systemClock: Clock = { monotonicMs: () => performance.now() };

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
