import TinyQueue from "tinyqueue";

/** Node's timers take no more; the database's clock is also learned anew meanwhile. */
const LONGEST_WAIT_MS = 60_000;

/** Entries that are no longer wanted are thrown out when there are twice as many as were left the last time. */
const FEWEST_TO_TIDY = 1_024;

/** When things fall due: one timer for all of them, at the earliest. */
export interface DueTimes<T> {
  /** Calls back with the item at `due` or soon after: milliseconds since the epoch, infinite for never. */
  readonly add: (item: T, due: number) => void;
  /** Calls back for what is due by now. The timer does this too; for when the clock has jumped. */
  readonly check: () => void;
}

export interface DueTimesOptions<T> {
  /** The database's time in milliseconds since the epoch. */
  readonly now: () => number;
  /** Hears of an item once for each time it was added, unless it was added again with an earlier time. */
  readonly onDue: (item: T) => void;
  /** Whether anybody still cares. What nobody cares for is forgotten some time before it is due. */
  readonly isWanted: (item: T) => boolean;
}

export function createDueTimes<T>({ now, onDue, isWanted }: DueTimesOptions<T>): DueTimes<T> {
  type Entry = { readonly item: T; readonly due: number };
  const byDue = (left: Entry, right: Entry) => left.due - right.due;
  let queue = new TinyQueue<Entry>([], byDue);
  /** Which entry of an item counts: an earlier one replaces it, and a queue has no way to remove one. */
  const counting = new Map<T, number>();
  let tidyAt = FEWEST_TO_TIDY;
  let timer: NodeJS.Timeout | undefined;

  function check(): void {
    const due: T[] = [];
    for (let first = queue.peek(); first && first.due <= now(); first = queue.peek()) {
      queue.pop();
      if (counting.get(first.item) !== first.due) continue;
      counting.delete(first.item);
      if (isWanted(first.item)) due.push(first.item);
    }
    schedule();
    for (const item of due) onDue(item);
  }

  function schedule(): void {
    clearTimeout(timer);
    timer = undefined;
    const first = queue.peek();
    if (!first) return;
    // Never 0: a timer may fire a little early by the database's clock, and would spin until the time comes.
    const waitMs = Math.min(Math.max(Math.ceil(first.due - now()), 1), LONGEST_WAIT_MS);
    timer = setTimeout(check, waitMs).unref();
  }

  function tidy(): void {
    const wanted: Entry[] = [];
    for (const entry of queue.data) {
      if (counting.get(entry.item) !== entry.due) continue;
      if (isWanted(entry.item)) wanted.push(entry);
      else counting.delete(entry.item);
    }
    queue = new TinyQueue(wanted, byDue);
    tidyAt = Math.max(FEWEST_TO_TIDY, 2 * wanted.length);
  }

  return {
    add(item, due) {
      if (due >= (counting.get(item) ?? Number.POSITIVE_INFINITY)) return;
      const isEarliest = due < (queue.peek()?.due ?? Number.POSITIVE_INFINITY);
      counting.set(item, due);
      queue.push({ item, due });
      if (queue.length > tidyAt) tidy();
      if (isEarliest) schedule();
    },
    check,
  };
}
