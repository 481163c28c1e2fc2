import type { SessionEvent } from "./log.ts";

/** The events that were applied last, so that work which began before them can ask what it missed. */
export interface RecentEvents {
  readonly add: (event: SessionEvent) => void;
  /** How many events were ever added; give it back to {@link RecentEvents.since}. */
  readonly position: () => number;
  /** The events added since `position`, or undefined if so many came that some are forgotten. */
  readonly since: (position: number) => readonly SessionEvent[] | undefined;
}

export function createRecentEvents(capacity: number): RecentEvents {
  const ring: SessionEvent[] = [];
  let count = 0;
  return {
    add(event) {
      ring[count % capacity] = event;
      count += 1;
    },
    position: () => count,
    since(position) {
      if (count - position > capacity) return undefined;
      const events: SessionEvent[] = [];
      for (let index = position; index < count; index++) {
        const event = ring[index % capacity];
        if (event) events.push(event);
      }
      return events;
    },
  };
}
