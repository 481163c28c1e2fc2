import { GraphQLError } from "graphql";

/** Operations that one socket runs at once. An app has a handful of subscriptions; a flood has thousands. */
export const MAX_OPERATIONS = 100;
/** Messages that one socket sends in a second, pings included. */
const MAX_MESSAGES = 200;
const WINDOW_MS = 1_000;

/** How many there are of each, with an end to it. */
export interface Quota {
  /** Counts one more; false: there are as many as there may be. */
  readonly take: (key: string) => boolean;
  /** Takes one off again. */
  readonly giveBack: (key: string) => void;
}

export function createQuota(most: number): Quota {
  const counts = new Map<string, number>();
  return {
    take(key) {
      const count = counts.get(key) ?? 0;
      if (count >= most) return false;
      counts.set(key, count + 1);
      return true;
    },
    giveBack(key) {
      const left = (counts.get(key) ?? 1) - 1;
      // Nothing is remembered of whoever has gone.
      if (left === 0) counts.delete(key);
      else counts.set(key, left);
    },
  };
}

/** Counts a socket's messages. */
export class MessageMeter {
  #windowStart = 0;
  #count = 0;

  /** One more, at this time in milliseconds; false: there are more of them than any client has to say. */
  count(now: number): boolean {
    if (now - this.#windowStart >= WINDOW_MS) {
      this.#windowStart = now;
      this.#count = 0;
    }
    this.#count += 1;
    return this.#count <= MAX_MESSAGES;
  }
}

export function tooManyOperations(): GraphQLError {
  return new GraphQLError(
    `This connection runs ${MAX_OPERATIONS} operations. Complete some before you begin another.`,
    { extensions: { code: "LIMIT_EXCEEDED" } },
  );
}
