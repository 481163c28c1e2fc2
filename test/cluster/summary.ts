import type { History, LogRow, Operation } from "./history.ts";

/** What a run consisted of, for whoever reads its result. */
export interface Summary {
  readonly operations: Readonly<Record<string, number>>;
  readonly revocations: Readonly<Record<string, number>>;
  readonly reasons: Readonly<Record<string, number>>;
  readonly closes: Readonly<Record<string, number>>;
  readonly faults: Readonly<Record<string, number>>;
  /** From the confirmed commit to the subscriber that was told, in calm phases, in milliseconds. */
  readonly calmLatency: {
    readonly count: number;
    readonly p50: number;
    readonly p99: number;
    readonly max: number;
  };
  /** Requests that were under way when their session was revoked. */
  readonly inFlight: number;
}

/** `endOf`: when it was certain that a session's revocation had been committed; undefined if it never was. */
export function summarize(
  history: History,
  log: readonly LogRow[],
  endOf: (sessionId: string) => number | undefined,
  latencies: readonly number[],
): Summary {
  const isInFlight = ({ sessionId, invoke, complete }: Operation) => {
    const at = endOf(sessionId);
    return at !== undefined && invoke < at && complete > at;
  };
  return {
    operations: countBy(history.operations, ({ kind, outcome }) => `${kind} ${outcome}`),
    revocations: countBy(history.revocations, ({ way, isConfirmed }) =>
      isConfirmed ? way : `${way}, in doubt`,
    ),
    reasons: countBy(
      log.filter(({ type }) => type === "SESSION_REVOKED"),
      ({ reason }) => String(reason),
    ),
    closes: countBy(history.sockets, ({ code }) => String(code)),
    faults: countBy(history.faults, ({ kind }) => kind),
    calmLatency: {
      count: latencies.length,
      p50: percentile(latencies, 50),
      p99: percentile(latencies, 99),
      max: Math.max(0, ...latencies),
    },
    inFlight: history.operations.filter(isInFlight).length,
  };
}

/** What has to have happened, at least so often. */
export interface Least {
  /** Each of these kinds. */
  readonly faults: Readonly<Record<string, number>>;
  readonly closes: Readonly<Record<string, number>>;
  readonly reasons: Readonly<Record<string, number>>;
  readonly revocations: number;
  readonly inFlight: number;
}

export function timesEach(times: number, names: readonly string[]): Record<string, number> {
  return Object.fromEntries(names.map((name) => [name, times]));
}

/** A run in which nothing happened breaks no promise: says what did not happen often enough for it to mean something. */
export function findMissing(summary: Summary, least: Least): readonly string[] {
  const missing: string[] = [];
  const expect = (what: string, count: number, atLeast: number) => {
    if (count < atLeast) missing.push(`too little: ${what} happened ${count} times, not ${atLeast}`);
  };
  for (const kind of ["faults", "closes", "reasons"] as const) {
    for (const [name, atLeast] of Object.entries(least[kind]))
      expect(name, summary[kind][name] ?? 0, atLeast);
  }
  const revocations = Object.values(summary.reasons).reduce((sum, count) => sum + count, 0);
  expect("the end of a session", revocations, least.revocations);
  expect("the end of a session with a request under way", summary.inFlight, least.inFlight);
  return missing;
}

/** The value that this many of a hundred do not exceed. */
export function percentile(values: readonly number[], percent: number): number {
  const sorted = [...values].sort((left, right) => left - right);
  return sorted[Math.min(sorted.length - 1, Math.floor((sorted.length * percent) / 100))] ?? 0;
}

function countBy<Item>(items: readonly Item[], keyOf: (item: Item) => string): Record<string, number> {
  const groups = [...Map.groupBy(items, keyOf)].sort(([left], [right]) => left.localeCompare(right));
  return Object.fromEntries(groups.map(([key, group]) => [key, group.length]));
}
