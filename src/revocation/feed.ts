import type { Anchor, SessionEvent } from "./log.ts";
import type { RecentEvents } from "./recent-events.ts";

/** Which events a follower wants: those of one user, or everybody's. */
export interface EventFilter {
  readonly userId?: string | undefined;
}

/** The log as it was read for one follower. */
export interface FeedPage {
  readonly events: readonly SessionEvent[];
  /** Up to where the log was searched. At its end, also past events that do not match. */
  readonly cursor: bigint;
}

export interface FeedOptions {
  readonly recent: RecentEvents;
  /** Reads matching events after the cursor from the database, a page at most. Throws when the database does. */
  readonly readPage: (cursor: bigint, filter: EventFilter) => Promise<FeedPage>;
  /** Whether the log still has this very event. Throws when the database does. */
  readonly isKnown: (event: Anchor) => Promise<boolean>;
}

/** Events after a cursor: those of the past, then live ones, without a gap or a duplicate, for as long as wanted. */
interface FeedFollower {
  /** Waits for the next one. Undefined once it is stopped, or the log is not the one any more that was followed. */
  readonly next: () => Promise<SessionEvent | undefined>;
  /** Whether the cursor means nothing any more, because the log has changed. */
  readonly isCursorLost: () => boolean;
  /** To be called in any case, once. */
  readonly stop: () => void;
}

/**
 * Follows the log for those who want all of it. A follower is a cursor, not a queue: what it has not taken yet is
 * looked for in memory, and in the database if it fell further behind than memory reaches.
 */
export interface Feed {
  /** Starts after the cursor, or without one after what this node has applied so far. */
  readonly follow: (filter: EventFilter, cursor?: bigint) => FeedFollower;
  readonly hasFollowers: () => boolean;
  /** Wakes those who wait for it. To be called after each event that was applied. */
  readonly wake: (event: SessionEvent) => void;
  /** Ends all followers: what they were told is in another log. */
  readonly restart: () => void;
  /** What was read from the database beyond this cursor may be lost: the followers that were told of it ask first. */
  readonly doubt: (validUpTo: string) => void;
}

export function createFeed({ recent, readPage, isKnown }: FeedOptions): Feed {
  /** By user; under undefined those who want everybody's events. */
  const sleepers = new Map<string | undefined, Set<() => void>>();
  const followers = new Set<{
    readonly lose: () => void;
    readonly doubt: (validUpTo: bigint) => void;
  }>();

  function wakeAll(userId: string | undefined): void {
    const woken = sleepers.get(userId);
    sleepers.delete(userId);
    for (const wakeUp of woken ?? []) wakeUp();
  }

  function sleep(userId: string | undefined, stopping: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const beside = sleepers.get(userId) ?? new Set();
      const wakeUp = () => {
        stopping.removeEventListener("abort", wakeUp);
        beside.delete(wakeUp);
        if (beside.size === 0 && sleepers.get(userId) === beside) sleepers.delete(userId);
        resolve();
      };
      sleepers.set(userId, beside.add(wakeUp));
      stopping.addEventListener("abort", wakeUp);
      if (stopping.aborted) wakeUp();
    });
  }

  return {
    hasFollowers: () => followers.size > 0,
    wake({ userId }) {
      wakeAll(userId);
      wakeAll(undefined);
    },
    restart() {
      for (const follower of followers) follower.lose();
      for (const userId of [...sleepers.keys()]) wakeAll(userId);
    },
    doubt(validUpTo) {
      for (const follower of followers) follower.doubt(BigInt(validUpTo));
      for (const userId of [...sleepers.keys()]) wakeAll(userId);
    },
    follow(filter, from = recent.head()) {
      const stopping = new AbortController();
      const matches = ({ userId }: SessionEvent) => filter.userId === undefined || userId === filter.userId;
      let cursor = from;
      let page: readonly SessionEvent[] = [];
      let read = 0;
      let isLost = false;
      /** What was told last; until then `from`, of which only the id is known. */
      let told: Anchor | undefined;
      let isDoubted = false;
      const follower = {
        lose() {
          isLost = true;
        },
        doubt(validUpTo: bigint) {
          if (cursor <= validUpTo) return;
          [page, read, cursor] = [[], 0, told ? BigInt(told.id) : from];
          if (cursor <= validUpTo) return;
          if (told) isDoubted = true;
          else isLost = true;
        },
      };
      followers.add(follower);

      function tell(event: SessionEvent): SessionEvent {
        told = event;
        return event;
      }

      async function next(): Promise<SessionEvent | undefined> {
        while (!stopping.signal.aborted && !isLost) {
          if (isDoubted && told) {
            if (!(await isKnown(told))) isLost = true;
            isDoubted = false;
            continue;
          }
          const buffered = page[read++];
          if (buffered) return tell(buffered);
          const remembered = recent.after(cursor, matches);
          if (!remembered) {
            const { doubts } = recent.position();
            const { events, cursor: searchedTo } = await readPage(cursor, filter);
            // It may have been read from a server that is gone, with what it had not passed on.
            if (recent.position().doubts !== doubts) continue;
            [page, read, cursor] = [events, 0, searchedTo];
            continue;
          }
          cursor = remembered.cursor;
          if (remembered.event) return tell(remembered.event);
          await sleep(filter.userId, stopping.signal);
        }
        return undefined;
      }

      return {
        next,
        isCursorLost: () => isLost,
        stop() {
          followers.delete(follower);
          stopping.abort();
        },
      };
    },
  };
}
