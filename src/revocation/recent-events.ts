import type { SessionEvent } from "./log.ts";

/**
 * The events that were applied last, all of them since some place in the log: so that work which began before
 * them can ask what it missed, and whoever follows the log need not read it again.
 */
export interface RecentEvents {
  readonly add: (event: SessionEvent) => void;
  /** How many events were ever added; give it back to {@link RecentEvents.since}. */
  readonly position: () => number;
  /** The events added since `position`, or undefined if so many came that some are forgotten. */
  readonly since: (position: number) => readonly SessionEvent[] | undefined;
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
  /** Forgets everything, and that anything was known: the log is followed anew, from this cursor. */
  readonly restart: (cursor: string) => void;
}

export function createRecentEvents(capacity: number): RecentEvents {
  const ring: SessionEvent[] = [];
  let count = 0;
  let kept = 0;
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
    position: () => count,
    since(position) {
      if (count - position > kept) return undefined;
      const events: SessionEvent[] = [];
      for (let index = position; index < count; index++) events.push(at(index));
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
    restart(cursor) {
      // One position is skipped, so that also a load which began right before has missed something.
      count += 1;
      kept = 0;
      floor = BigInt(cursor);
    },
  };
}
