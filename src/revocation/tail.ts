import { setImmediate as nextTurn } from "node:timers/promises";
import type { Database, Listener } from "../database/database.ts";
import {
  type Anchor,
  LOG_BEGINNING,
  LOG_CHANNEL,
  LOG_PAGE_SIZE,
  type LogPage,
  readLog,
  type SessionEvent,
  type Subject,
  subjectOf,
} from "./log.ts";

/** A notification is only a hint: the log is read this often without one, so a lost one costs at most this. */
const READ_INTERVAL_MS = 1_000;

/** What nobody here waits for is read so much later, with whatever else has come by then: most revocations concern one node of many. */
const UNAWAITED_READ_MS = 20;

/** So many events are applied in one turn. In a mass logout those who are told leave, and others are answered, between. */
const APPLIED_AT_ONCE = 200;

/** Between attempts to reconnect: doubling up to the cap, with full jitter so that nodes do not come at once. */
const RECONNECT_BASE_MS = 100;
const RECONNECT_CAP_MS = 2_000;

export interface TailOptions {
  readonly database: Pick<Database, "openListener">;
  /** Milliseconds that rise also while the process or the whole machine is paused. */
  readonly elapsedMs: () => number;
  /** Called for each event once, in commit order. Must not throw. */
  readonly onEvent: (event: SessionEvent) => void;
  /**
   * Called when the log is followed from a cursor that does not continue what was followed before: at the start, and
   * when it changed behind this node (a restored backup, a failover that lost events).
   */
  readonly onRestart: (cursor: string) => void;
  /**
   * Called when the log goes on after `cursor`, but the server is not the one it was (a restart, a failover): what
   * was read from it beyond the cursor may be lost.
   */
  readonly onServerChange: (cursor: string) => void;
  /** Whether anybody on this node waits to hear of it. Nothing but haste depends on the answer. */
  readonly isAwaited: (subject: Subject) => boolean;
  /** Called after each successful read, with the database's time. */
  readonly onRead: (databaseNow: Date) => void;
  readonly onError: (error: unknown) => void;
  /** How long a read may take before its connection counts as lost. */
  readonly queryTimeoutMs: number;
}

/** Reading the log as it grows, for the life of the node. */
export interface Tail {
  /** Milliseconds since the start of the last successful read; infinite before the first. */
  readonly stalenessMs: () => number;
  /**
   * Resolves once everything that was committed before this call has been applied here.
   * Rejects with {@link TailBehindError} if that takes longer than `timeoutMs`.
   */
  readonly catchUp: (timeoutMs: number) => Promise<void>;
  readonly stop: () => Promise<void>;
}

export class TailBehindError extends Error {
  override readonly name = "TailBehindError";
  constructor() {
    super("this node could not confirm in time that it has read the log");
  }
}

/** Told to the operator; the node itself mends it. */
class LogChangedError extends Error {
  override readonly name = "LogChangedError";
  constructor(what: string) {
    super(`${what}: every session in memory is verified anew`);
  }
}

/** A read that is under way, and those who asked for one before it began. */
interface Reading {
  readonly startedAt: number;
  readonly waiters: PromiseWithResolvers<void>[];
  readonly page: Promise<LogPage>;
}

/** Starts tailing from the log's present head. Resolves after the first successful read. */
export async function startTail(options: TailOptions): Promise<Tail> {
  const { elapsedMs } = options;
  const stopping = new AbortController();
  let anchor: Anchor | undefined;
  let server: string | undefined;
  let lastReadStartedAt = Number.NEGATIVE_INFINITY;
  let waiting: PromiseWithResolvers<void>[] = [];
  let woken = false;
  /** What has been notified is to be read then, if nothing is read before. */
  let later: ReturnType<typeof setTimeout> | undefined;
  let wake = () => {
    woken = true;
  };

  /** Waits for a notification, a `catchUp`, a lost connection, the stop, or the interval. */
  async function pause(): Promise<void> {
    if (!woken && !stopping.signal.aborted) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, READ_INTERVAL_MS);
      wake = resolve;
      await promise;
      clearTimeout(timer);
      wake = () => {
        woken = true;
      };
    }
    woken = false;
  }

  function onNotification(payload: string): void {
    const subject = subjectOf(payload);
    if (!subject || options.isAwaited(subject)) wake();
    else later ??= setTimeout(() => wake(), UNAWAITED_READ_MS);
  }

  function beginReading(listener: Listener, from: Anchor | undefined): Reading {
    clearTimeout(later);
    later = undefined;
    // Whoever asks from here on may mean something that this read does not see.
    const reading = { startedAt: elapsedMs(), waiters: waiting, page: readLog(listener, from) };
    waiting = [];
    // Whoever began it may have failed before they wait for it.
    reading.page.catch(() => {});
    return reading;
  }

  async function readToEnd(listener: Listener): Promise<void> {
    let reading = beginReading(listener, anchor);
    for (;;) {
      let next: Reading | undefined;
      try {
        const page = await reading.page;
        // There is more: the database goes on while these are applied.
        const isFull = page.isAnchored && page.events.length >= LOG_PAGE_SIZE;
        if (anchor && isFull) next = beginReading(listener, page.events.at(-1));
        if (await follow(page)) {
          lastReadStartedAt = reading.startedAt;
          for (const waiter of reading.waiters) waiter.resolve();
          return;
        }
      } catch (error) {
        waiting.push(...reading.waiters, ...(next?.waiters ?? []));
        throw error;
      }
      next ??= beginReading(listener, anchor);
      next.waiters.push(...reading.waiters);
      reading = next;
    }
  }

  /** Applies what was read. False if there is more to read. */
  async function follow(page: LogPage): Promise<boolean> {
    options.onRead(page.databaseNow);
    if (!anchor) {
      anchor = page.events[0] ?? LOG_BEGINNING;
      server = page.serverIdentity;
      options.onRestart(anchor.id);
      return true;
    }
    if (!page.isAnchored) {
      options.onError(new LogChangedError("the log has changed behind this node"));
      anchor = undefined;
      return false;
    }
    if (server !== page.serverIdentity) {
      options.onError(new LogChangedError("the database server was restarted or is another one"));
      server = page.serverIdentity;
      options.onServerChange(anchor.id);
    }
    for (const [index, event] of page.events.entries()) {
      if (index > 0 && index % APPLIED_AT_ONCE === 0) await nextTurn();
      options.onEvent(event);
      anchor = event;
    }
    return page.events.length < LOG_PAGE_SIZE;
  }

  async function tailOneConnection(onReading: () => void): Promise<void> {
    let lost: Error | undefined;
    const listener = await options.database.openListener({
      channel: LOG_CHANNEL,
      queryTimeoutMs: options.queryTimeoutMs,
      onNotification,
      onLost: (error) => {
        lost = error;
        wake();
      },
    });
    try {
      while (!stopping.signal.aborted) {
        await readToEnd(listener);
        onReading();
        await pause();
        if (lost) throw lost;
      }
    } finally {
      await listener.close().catch(options.onError);
    }
  }

  const first = Promise.withResolvers<void>();
  const finished = (async () => {
    for (let failures = 0; !stopping.signal.aborted; failures++) {
      try {
        await tailOneConnection(() => {
          failures = 0;
          first.resolve();
        });
      } catch (error) {
        first.reject(error);
        options.onError(error);
        const capMs = Math.min(RECONNECT_CAP_MS, RECONNECT_BASE_MS * 2 ** failures);
        await sleep(Math.random() * capMs, stopping.signal);
      }
    }
    for (const waiter of waiting) waiter.reject(new TailBehindError());
  })();
  try {
    await first.promise;
  } catch (error) {
    stopping.abort();
    await finished;
    throw error;
  }

  return {
    stalenessMs: () => elapsedMs() - lastReadStartedAt,
    async catchUp(timeoutMs) {
      const waiter = Promise.withResolvers<void>();
      const timer = setTimeout(() => waiter.reject(new TailBehindError()), timeoutMs);
      waiting.push(waiter);
      wake();
      try {
        await waiter.promise;
      } finally {
        clearTimeout(timer);
      }
    },
    async stop() {
      stopping.abort();
      clearTimeout(later);
      wake();
      await finished;
    },
  };
}

function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done, { once: true });
  });
}
