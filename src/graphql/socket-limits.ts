import { GraphQLError } from "graphql";

/** Operations that one socket runs at once. An app has a handful of subscriptions; a flood has thousands. */
export const MAX_OPERATIONS = 100;
/** Messages that one socket sends in a second, pings included. */
const MAX_MESSAGES = 200;
const WINDOW_MS = 1_000;

/** How many there are of each, with an end to it. */
export interface Quota {
  /** Counts one more; gives back what takes it off again, or undefined if there are as many as there may be. */
  readonly take: (key: string) => (() => void) | undefined;
}

export function createQuota(most: number): Quota {
  const counts = new Map<string, number>();
  return {
    take(key) {
      const count = counts.get(key) ?? 0;
      if (count >= most) return undefined;
      counts.set(key, count + 1);
      let isTaken = true;
      return () => {
        if (!isTaken) return;
        isTaken = false;
        const left = (counts.get(key) ?? 1) - 1;
        // Nothing is remembered of whoever has gone.
        if (left === 0) counts.delete(key);
        else counts.set(key, left);
      };
    },
  };
}

/** Counts a socket's messages; false: there are more of them than any client has to say. */
export function createMessageMeter(elapsedMs: () => number = () => performance.now()): () => boolean {
  let windowStart = 0;
  let count = 0;
  return () => {
    const now = elapsedMs();
    if (now - windowStart >= WINDOW_MS) {
      windowStart = now;
      count = 0;
    }
    count += 1;
    return count <= MAX_MESSAGES;
  };
}

export function tooManyOperations(): GraphQLError {
  return new GraphQLError(
    `This connection runs ${MAX_OPERATIONS} operations. Complete some before you begin another.`,
    { extensions: { code: "LIMIT_EXCEEDED" } },
  );
}
