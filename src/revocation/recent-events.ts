import type { SessionEvent } from "./log.ts";

/** A moment in the life of a node's memory. */
interface Position {
  readonly count: number;
  readonly doubts: number;
}

/**
 * The events that were applied last, all of them since some place in the log: so that work which began before
 * them can ask what it missed, and whoever follows the log need not read it again.
 */
export interface RecentEvents {
  readonly add: (event: SessionEvent) => void;
  /** Now; give it back to {@link RecentEvents.since}. */
  readonly position: () => Position;
  /**
   * The events added since `position`. Undefined if that is not known: so many came that some are forgotten, or what
   * was read from the database before is in doubt.
   */
  readonly since: (position: Position) => readonly SessionEvent[] | undefined;
  /**
   * The first event after the cursor that matches, and up to where that was looked for. Undefined if memory does
   * not reach back to the cursor.
   */
  readonly after: (
    cursor: bigint,
    matches: (event: SessionEvent) => boolean,
  ) => { readonly event: SessionEvent | undefined; readonly cursor: bigint } | undefined;
  /** The cursor after everything that was added. */
  readonly head: () => bigint;
  /** The log goes on, but what was read from the database until now may be lost. */
  readonly doubt: () => void;
  /** Forgets everything: another log is followed, from this cursor. */
  readonly restart: (cursor: string) => void;
}

export function createRecentEvents(capacity: number): RecentEvents {
  const ring: SessionEvent[] = [];
  let count = 0;
  let kept = 0;
  let doubts = 0;
  /** The place in the log after which every event is kept. */
  let floor = 0n;

  const at = (index: number) => ring[index % capacity] as SessionEvent;

  /** The first kept event whose id is above the cursor; ids rise, so half of the rest falls away at each look. */
  function firstAfter(cursor: bigint): number {
    let low = count - kept;
    let high = count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (BigInt(at(middle).id) > cursor) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  return {
    add(event) {
      if (kept === capacity) floor = BigInt(at(count).id);
      else kept += 1;
      ring[count % capacity] = event;
      count += 1;
    },
    position: () => ({ count, doubts }),
    since(position) {
      if (doubts !== position.doubts || count - position.count > kept) return undefined;
      const events: SessionEvent[] = [];
      for (let index = position.count; index < count; index++) events.push(at(index));
      return events;
    },
    after(cursor, matches) {
      if (cursor < floor) return undefined;
      let seen = cursor;
      for (let index = firstAfter(cursor); index < count; index++) {
        const event = at(index);
        seen = BigInt(event.id);
        if (matches(event)) return { event, cursor: seen };
      }
      return { event: undefined, cursor: seen };
    },
    head: () => (kept > 0 ? BigInt(at(count - 1).id) : floor),
    doubt() {
      doubts += 1;
    },
    restart(cursor) {
      doubts += 1;
      kept = 0;
      floor = BigInt(cursor);
    },
  };
}
