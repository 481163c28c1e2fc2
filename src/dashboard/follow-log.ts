import type { SessionClient } from "../client/core.ts";
import {
  type EventPartsFragment,
  FollowSessionEventsDocument,
  type FollowSessionEventsSubscription,
  SessionEventsDocument,
} from "../client/generated/graphql.ts";

export type FollowedEvent = EventPartsFragment;

/** How much of the past there is at first, and how many events are kept for looking at. */
const HISTORY = 100;
const KEPT = 500;
/** Events that come in one burst are shown together: a mass logout brings thousands. Milliseconds. */
const BURST_MS = 100;
const RETRY_MS = 2_000;

/** The log as far as this page has followed it. The same object until it changes. */
export interface FollowedLog {
  /** Undefined: the first answer is awaited. The newest first; older ones are forgotten. */
  readonly events: readonly FollowedEvent[] | undefined;
  /** How many came since this page began to follow. */
  readonly arrived: number;
}

export interface LogFollower {
  readonly getSnapshot: () => FollowedLog;
  readonly subscribe: (listener: () => void) => () => void;
  /** Hears of events as they come, each once. */
  readonly onEvents: (listener: (events: readonly FollowedEvent[]) => void) => () => void;
  /** Gives back what ends it. */
  readonly start: () => () => void;
}

/** Follows the log without a gap or a duplicate, over lost connections and restarts of the service. */
export function createLogFollower(client: SessionClient): LogFollower {
  let snapshot: FollowedLog = { events: undefined, arrived: 0 };
  const listeners = new Set<() => void>();
  const eventListeners = new Set<(events: readonly FollowedEvent[]) => void>();

  function set(next: FollowedLog): void {
    snapshot = next;
    for (const listener of [...listeners]) listener();
  }

  function start(): () => void {
    let isStopped = false;
    let unsubscribe: (() => void) | undefined;
    let retry: ReturnType<typeof setTimeout> | undefined;
    let burst: ReturnType<typeof setTimeout> | undefined;
    let pending: FollowedEvent[] = [];

    function flush(): void {
      burst = undefined;
      const events = pending;
      pending = [];
      const kept = [...events.toReversed(), ...(snapshot.events ?? [])].slice(0, KEPT);
      set({ events: kept, arrived: snapshot.arrived + events.length });
      for (const listener of [...eventListeners]) listener(events);
    }

    function startAgain(): void {
      unsubscribe?.();
      unsubscribe = undefined;
      if (!isStopped) retry = setTimeout(() => void begin(), RETRY_MS);
    }

    async function begin(): Promise<void> {
      try {
        const { sessionEvents } = await client.run(SessionEventsDocument, { first: HISTORY });
        if (isStopped) return;
        const events = sessionEvents.edges.map(({ node }) => node);
        set({ ...snapshot, events });
        follow(events[0]?.id ?? "0");
      } catch {
        startAgain();
      }
    }

    function follow(from: string): void {
      let cursor = from;
      // A connection that is made anew sends this again, and is to ask for what came after the last event.
      const variables = {
        get after() {
          return cursor;
        },
      };
      unsubscribe = client.subscribeOperation<FollowSessionEventsSubscription>(
        { query: String(FollowSessionEventsDocument), variables },
        {
          next({ data }) {
            if (!data) return startAgain();
            const event = data.sessionEvents;
            cursor = event.id;
            pending.push(event);
            burst ??= setTimeout(flush, BURST_MS);
          },
          // Also where the log does not reach back to the cursor any more: the newest part of it is read again.
          error: startAgain,
          complete: startAgain,
        },
      );
    }

    void begin();
    return () => {
      isStopped = true;
      clearTimeout(retry);
      clearTimeout(burst);
      unsubscribe?.();
      snapshot = { events: undefined, arrived: 0 };
    };
  }

  return {
    getSnapshot: () => snapshot,
    subscribe(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    onEvents(listener) {
      eventListeners.add(listener);
      return () => void eventListeners.delete(listener);
    },
    start,
  };
}
