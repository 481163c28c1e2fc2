import type { Fault, History, LogRow, Operation, Revocation, SocketLife } from "./history.ts";
import { percentile, type Summary, summarize } from "./summary.ts";

/** After a fault has ended a node needs this long to reconnect, to catch up and to be started again. */
const HEALING_MS = 4_000;
/** In calm phases a revocation is everywhere after this. */
const CALM_BOUND_MS = 1_000;
/**
 * With notifications the middle one of a node's revocations is seen within a few milliseconds, on a machine that has
 * something else to do within a hundred; without, after half a second.
 */
const NOTIFIED_MEDIAN_MS = 150;
/** With fewer, a deaf node's middle one may well be a quick one by chance. */
const NOTIFIED_SAMPLES = 8;

export interface Checked {
  readonly boundMs: number;
  /** The log at the end, in order. */
  readonly log: readonly LogRow[];
  /** Live sessions whose credentials are no longer their user's. */
  readonly stillborn: readonly string[];
}

export interface Verdict {
  readonly violations: readonly string[];
  readonly summary: Summary;
}

/** The end of a session, as far as it is known. */
interface End {
  readonly reason: string | null;
  readonly transactionId: string;
  /** When it was certain, by the tester's clock, that the revocation had been committed; undefined: unknown. */
  readonly committedBy: number | undefined;
  /** The node that confirmed it to whoever asked for it, and when. */
  readonly home: { readonly node: number; readonly at: number } | undefined;
}

/** Checks a run against the promises. A violation is a sentence that names the promise and what broke it. */
export function check(history: History, { boundMs, log, stillborn }: Checked): Verdict {
  const violations: string[] = [...history.incidents];
  const ends = findEnds(history, log);
  const isCalm = (from: number, to: number) =>
    !history.faults.some((fault) => from < fault.end + HEALING_MS && to > fault.start);

  for (const operation of history.operations) {
    violations.push(...checkOperation(operation, ends, history, boundMs, isCalm));
  }
  violations.push(...checkLog(log, history));
  violations.push(...checkChanges(history, log));
  violations.push(...checkTails(history, log));
  violations.push(...checkFeeds(history, log));
  violations.push(...checkSockets(history, ends));
  for (const sessionId of stillborn) {
    violations.push(`P5: session ${sessionId} lives on credentials that are not its user's any more`);
  }

  const latencies = calmLatencies(history.sockets, ends, isCalm);
  const phaseOf = (at: number) => history.faults.filter(({ end }) => end < at).length;
  for (const values of Map.groupBy(latencies, ({ node, at }) => `${node} ${phaseOf(at)}`).values()) {
    const node = values[0]?.node;
    const median = percentile(
      values.map(({ ms }) => ms),
      50,
    );
    if (values.length >= NOTIFIED_SAMPLES && median > NOTIFIED_MEDIAN_MS) {
      violations.push(`P1: node ${node} hears no notifications: its median is ${Math.round(median)} ms`);
    }
  }
  return {
    violations,
    summary: summarize(
      history,
      log,
      (sessionId) => ends.get(sessionId)?.committedBy,
      latencies.map(({ ms }) => ms),
    ),
  };
}

function findEnds(history: History, log: readonly LogRow[]): Map<string, End> {
  const byTransaction = new Map<string, Revocation>();
  const bySession = new Map<string, Revocation[]>();
  for (const revocation of history.revocations) {
    if (!revocation.isConfirmed) continue;
    if (revocation.transactionId) byTransaction.set(revocation.transactionId, revocation);
    if ("sessionId" in revocation.target) {
      const { sessionId } = revocation.target;
      bySession.set(sessionId, [...(bySession.get(sessionId) ?? []), revocation]);
    }
  }
  const firstTold = new Map<string, number>();
  for (const { sessionId, outcome, complete } of history.operations) {
    if (outcome !== "ended") continue;
    firstTold.set(sessionId, Math.min(complete, firstTold.get(sessionId) ?? Number.POSITIVE_INFINITY));
  }
  const ends = new Map<string, End>();
  for (const { type, sessionId, reason, transactionId } of log) {
    if (type !== "SESSION_REVOKED") continue;
    const confirmed = [byTransaction.get(transactionId), ...(bySession.get(sessionId) ?? [])].filter(
      (revocation) => revocation !== undefined,
    );
    const moments = confirmed.map(({ complete, delayMs = 0 }) => complete + delayMs);
    const told = firstTold.get(sessionId);
    if (told !== undefined) moments.push(told);
    const home = confirmed.find(({ node }) => node !== undefined);
    ends.set(sessionId, {
      reason,
      transactionId,
      committedBy: moments.length > 0 ? Math.min(...moments) : undefined,
      home: home?.node === undefined ? undefined : { node: home.node, at: home.complete },
    });
  }
  // A session whose expiry was brought forward may not have been looked at by anybody since.
  for (const [sessionId, revocations] of bySession) {
    const due = revocations.find(({ delayMs }) => delayMs !== undefined);
    if (!due || ends.has(sessionId)) continue;
    const committedBy = due.complete + (due.delayMs ?? 0);
    ends.set(sessionId, { reason: "EXPIRED", transactionId: "", committedBy, home: undefined });
  }
  return ends;
}

function checkOperation(
  operation: Operation,
  ends: ReadonlyMap<string, End>,
  { revocations, faults }: History,
  boundMs: number,
  isCalm: (from: number, to: number) => boolean,
): string[] {
  const { kind, node, sessionId, invoke, complete, outcome } = operation;
  const what = `a ${kind} of session ${sessionId} on node ${node}, begun at ${Math.round(invoke)}`;
  const end = ends.get(sessionId);
  if (outcome === "ok") {
    const violations: string[] = [];
    const isCut = ({ isPartition, node: cut, start, end: healed }: Fault) =>
      isPartition && cut === node && invoke > start + boundMs && complete < healed;
    if (faults.some(isCut)) violations.push(`P3: ${what}, is served by a node that reaches no database`);
    if (end?.committedBy !== undefined) {
      const lateMs = Math.round(invoke - end.committedBy);
      if (lateMs > boundMs) violations.push(`P3: ${what}, is served ${lateMs} ms after its end`);
      if (lateMs > CALM_BOUND_MS && isCalm(end.committedBy, complete)) {
        violations.push(`P2: ${what}, is served ${lateMs} ms after its end, though all was calm`);
      }
      if (end.home && end.home.node === node && invoke > end.home.at) {
        violations.push(`${what}, is served by the node that had confirmed its end`);
      }
    }
    return violations;
  }
  if (outcome !== "ended" && outcome !== "nobody") return [];
  if (!end) return [`P7: ${what}, is refused (${outcome}), though nobody ended it`];
  const mayHaveEnded = (revocation: Revocation) =>
    revocation.invoke <= complete &&
    ("userId" in revocation.target || revocation.target.sessionId === sessionId);
  if (!revocations.some(mayHaveEnded)) return [`P7: ${what}, is refused before anybody ended it`];
  if (outcome === "ended" && operation.reason !== end.reason) {
    return [`P6: ${what}, is told ${operation.reason}, but the log says ${end.reason}`];
  }
  return [];
}

/** Each session's events in their order, with one end and nothing after it; each change in one transaction. */
function checkLog(log: readonly LogRow[], { revocations }: History): string[] {
  const violations: string[] = [];
  const ended = new Set<string>();
  const created = new Set<string>();
  for (const { id, type, sessionId } of log) {
    if (ended.has(sessionId)) violations.push(`P6: event ${id} comes after the end of session ${sessionId}`);
    if (type === "SESSION_CREATED") created.add(sessionId);
    else if (!created.has(sessionId))
      violations.push(`P6: event ${id} comes before session ${sessionId} began`);
    if (type === "SESSION_REVOKED") ended.add(sessionId);
  }
  const byTransaction = Map.groupBy(log, ({ transactionId }) => transactionId);
  for (const { target, transactionId, way, isConfirmed } of revocations) {
    // An unconfirmed one may have been lost in a crash, and its transaction's id used again.
    if (!transactionId || !isConfirmed || !("userId" in target)) continue;
    const rows = byTransaction.get(transactionId) ?? [];
    if (rows.some(({ userId }) => userId !== target.userId)) {
      violations.push(`P4: the ${way} of user ${target.userId} ended sessions of others`);
    }
  }
  return violations;
}

/** Whoever was logged in when a user's role or password was changed is not any more once that is committed. */
function checkChanges({ operations, revocations }: History, log: readonly LogRow[]): string[] {
  const knownSince = new Map<string, number>();
  for (const { sessionId, outcome, complete } of operations) {
    if (outcome !== "ok") continue;
    knownSince.set(sessionId, Math.min(complete, knownSince.get(sessionId) ?? Number.POSITIVE_INFINITY));
  }
  const confirmed = revocations.filter(({ isConfirmed }) => isConfirmed);
  const byTransaction = new Map(confirmed.map((revocation) => [revocation.transactionId, revocation]));
  const bySession = Map.groupBy(revocations, ({ target }) =>
    "sessionId" in target ? target.sessionId : undefined,
  );
  const endedIn = new Map(
    log.flatMap(({ type, sessionId, transactionId }) =>
      type === "SESSION_REVOKED" ? [[sessionId, transactionId]] : [],
    ),
  );
  const sessionsOf = Map.groupBy(
    log.filter(({ type }) => type === "SESSION_CREATED"),
    ({ userId }) => userId,
  );
  /** When whatever ended a session began, or may have begun; undefined if nothing is known that did. */
  function endBegan(sessionId: string): number | undefined {
    const transactionId = endedIn.get(sessionId);
    if (transactionId === undefined) return Number.POSITIVE_INFINITY;
    const known = byTransaction.get(transactionId);
    const causes = known ? [known] : (bySession.get(sessionId) ?? []);
    return causes.length > 0 ? Math.min(...causes.map(({ invoke }) => invoke)) : undefined;
  }

  return confirmed.flatMap(({ way, target, invoke, complete }) => {
    if (!("userId" in target)) return [];
    return (sessionsOf.get(target.userId) ?? [])
      .filter(({ sessionId }) => (knownSince.get(sessionId) ?? Number.POSITIVE_INFINITY) < invoke)
      .filter(({ sessionId }) => (endBegan(sessionId) ?? 0) > complete)
      .map(({ sessionId }) => `P4: the ${way} of user ${target.userId} left session ${sessionId} alive`);
  });
}

/** Each process saw every event from its first to its last, in order and once; and to the end if it lived on. */
function checkTails({ nodeLives }: History, log: readonly LogRow[]): string[] {
  const violations: string[] = [];
  const positions = new Map(log.map(({ id }, index) => [id, index]));
  for (const { node, applied, isAlive } of nodeLives) {
    let previous: number | undefined;
    for (const id of applied) {
      const position = positions.get(id);
      if (position === undefined)
        violations.push(`P2: node ${node} applied event ${id}, which is not in the log`);
      else if (previous !== undefined && position !== previous + 1) {
        violations.push(
          `P2: node ${node} applied event ${id} after ${log[previous]?.id}, which is not the one before`,
        );
      }
      previous = position ?? previous;
    }
    const last = log.at(-1)?.id;
    if (isAlive && last !== undefined && applied.at(-1) !== last) {
      violations.push(`P2: node ${node} has applied the log to ${applied.at(-1)} only, and not to ${last}`);
    }
  }
  return violations;
}

/** The pages and pushes of each feed are a slice of the log. */
function checkFeeds({ feeds }: History, log: readonly LogRow[]): string[] {
  const positions = new Map(log.map(({ id }, index) => [id, index]));
  return feeds.flatMap(({ node, ids }) => {
    const start = positions.get(ids[0] ?? "");
    if (start === undefined) return [`resume: the feed on node ${node} told nothing`];
    const expected = log.slice(start).map(({ id }) => id);
    const wrong = ids.findIndex((id, index) => id !== expected[index]);
    if (wrong >= 0)
      return [`resume: the feed on node ${node} told ${ids[wrong]} where the log has ${expected[wrong]}`];
    return ids.length < expected.length ? [`resume: the feed on node ${node} ended at ${ids.at(-1)}`] : [];
  });
}

/** Who subscribed is told exactly once, or was cut off and is refused when it comes back. */
function checkSockets({ sockets }: History, ends: ReadonlyMap<string, End>): string[] {
  const violations: string[] = [];
  for (const [sessionId, lives] of Map.groupBy(sockets, (life) => life.sessionId)) {
    const end = ends.get(sessionId);
    const told = lives.flatMap((life) => life.told);
    if (told.length > 1)
      violations.push(`P6: the subscriber of session ${sessionId} is told ${told.length} times`);
    for (const { reason } of told) {
      if (reason !== end?.reason) {
        violations.push(
          `P6: the subscriber of session ${sessionId} is told ${reason}, the log says ${end?.reason}`,
        );
      }
    }
    for (const life of lives) violations.push(...checkSocket(life, end));
  }
  return violations;
}

function checkSocket(life: SocketLife, end: End | undefined): string[] {
  const { sessionId, code, reason, subscribedAt, told, isCompleted, node } = life;
  const subscriber = `the subscriber of session ${sessionId} on node ${node}`;
  if (code === 1012 && isCompleted && told.length === 0) {
    return [`P7: ${subscriber} is told before a restart that nothing more comes, and would stay away`];
  }
  if (code !== 4401 && code !== 4403) return [];
  if (!end) return [`P7: the socket of session ${sessionId} is closed with ${code}, though nobody ended it`];
  if (code === 4401 && reason !== `Session revoked: ${end.reason}`) {
    return [`P6: the socket of session ${sessionId} is closed with "${reason}", the log says ${end.reason}`];
  }
  if (code === 4401 && subscribedAt !== undefined && told.length === 0) {
    return [`P6: ${subscriber} is closed without its event`];
  }
  if (code === 4401 && subscribedAt !== undefined && !isCompleted) {
    return [`P6: ${subscriber} is closed without a complete, so it would come back to be refused`];
  }
  return [];
}

interface Latency {
  readonly node: number;
  readonly at: number;
  readonly ms: number;
}

function calmLatencies(
  sockets: readonly SocketLife[],
  ends: ReadonlyMap<string, End>,
  isCalm: (from: number, to: number) => boolean,
): Latency[] {
  return sockets.flatMap(({ sessionId, node, told: [first], subscribedAt }) => {
    const end = ends.get(sessionId);
    if (!first || end?.committedBy === undefined || end.reason === "EXPIRED") return [];
    if (subscribedAt === undefined || subscribedAt > end.committedBy || !isCalm(end.committedBy, first.at))
      return [];
    return [{ node, at: first.at, ms: Math.max(0, first.at - end.committedBy) }];
  });
}
