import type { ExecutionResult } from "graphql";
import { isAsyncIterable, type Plugin } from "graphql-yoga";
import type { Lease, LeaseHolder } from "../revocation/lease.ts";
import type { Context } from "./context.ts";
import { serviceUnavailable, unauthenticated } from "./errors.ts";

/**
 * How long a subscription about its own session's end may take to finish after that end, in milliseconds. It
 * only has to pass on what is already known.
 */
const FAREWELL_MS = 250;

/**
 * Binds every operation, on whatever transport, to the lease of its session: when the session ends, a query or
 * mutation that still runs is answered with `UNAUTHENTICATED` and the reason, its own result is never sent, and
 * a subscription completes. Exempt is what is about that very end (`Context.outlivesLease`).
 */
export function bindToLease(): Plugin<Context> {
  return {
    onExecute({ executeFn, setExecuteFn, context }) {
      const lease = leaseOf(context);
      if (!lease) return;
      setExecuteFn((args) => {
        let result: unknown;
        try {
          result = executeOn(lease, context, () => executeFn(args));
        } finally {
          if (!isPending(result)) context.release();
        }
        return isPending(result) ? Promise.resolve(result).finally(() => context.release()) : result;
      });
    },
    onSubscribe({ subscribeFn, setSubscribeFn, args }) {
      const context: Context = args.contextValue;
      const lease = leaseOf(context);
      if (!lease) return;
      setSubscribeFn(async (subscribeArgs) => {
        let results: AsyncGenerator<unknown> | undefined;
        try {
          if (!(await context.directory.confirm(lease))) return refusal(lease);
          const result = await subscribeFn(subscribeArgs);
          if (!isAsyncIterable(result)) return result;
          results = untilEnded(result, lease, context);
          return results;
        } finally {
          if (!results) context.release();
        }
      });
    },
  };
}

function leaseOf({ credentials }: Context): Lease | undefined {
  return credentials.kind === "live" ? credentials.lease : undefined;
}

/** What needs no waiting is answered in one turn, in which nothing can happen to the lease but by the operation itself. */
function executeOn(lease: Lease, context: Context, execute: () => unknown): unknown {
  // A socket's lease is older than its operation: before anything has an effect it is looked at again (P3).
  return whenConfirmed(lease, context, () => {
    const executed = execute();
    return isPending(executed)
      ? unlessEnded(executed, lease, context)
      : ifStillLive(executed, lease, context);
  });
}

/** What `proceed` comes to if the lease may be trusted, else its refusal; now, or once the database has said so. */
function whenConfirmed(lease: Lease, { directory }: Context, proceed: () => unknown): unknown {
  const isTrusted = directory.confirm(lease);
  if (typeof isTrusted === "boolean") return isTrusted ? proceed() : refusal(lease);
  return isTrusted.then((isNow) => (isNow && !lease.isOver ? proceed() : refusal(lease)));
}

/** Asked at the moment of answering: the process may have been paused since the operation began (P3). */
function ifStillLive(result: unknown, lease: Lease, context: Context): unknown {
  return context.outlivesLease ? result : whenConfirmed(lease, context, () => result);
}

async function unlessEnded(
  executing: PromiseLike<unknown>,
  lease: Lease,
  context: Context,
): Promise<unknown> {
  const end = Promise.withResolvers<void>();
  const holder: LeaseHolder = {
    onOver() {
      if (!context.outlivesLease) end.resolve();
    },
  };
  lease.tellOver(holder);
  try {
    const executed = Promise.resolve(executing);
    const first = await Promise.race([executed.then((result) => ({ result })), end.promise]);
    if (first) return await ifStillLive(first.result, lease, context);
    // What it comes to is not for anybody to see, nor is its failure for the process to die of.
    executed.catch(() => {});
    return refusal(lease);
  } finally {
    lease.forgetHolder(holder);
  }
}

function isPending(result: unknown): result is PromiseLike<unknown> {
  return typeof (result as PromiseLike<unknown> | undefined)?.then === "function";
}

/** Without an end in the log the session is lost to this node: whoever asks again is told what there is to tell. */
export function refusal(lease: Lease): ExecutionResult {
  return { errors: [lease.isLost ? serviceUnavailable() : unauthenticated(lease.ended)] };
}

/** What a subscription needs of the context of its operation. */
type Subscribing = Pick<Context, "outlivesLease" | "release" | "cut" | "onGone"> & {
  readonly directory: Pick<Context["directory"], "confirm">;
};

/** The same results, until the lease ends or nobody waits for them. */
export function untilEnded<T>(
  results: AsyncIterable<T>,
  lease: Lease,
  context: Subscribing,
): AsyncGenerator<T, undefined, undefined> {
  const source = results[Symbol.asyncIterator]();
  const done: IteratorResult<T, undefined> = { value: undefined, done: true };
  /** Tells whoever waits for the next result that there is none. */
  let stopWaiting = (_done: IteratorResult<T, undefined>) => {};
  let farewell: NodeJS.Timeout | undefined;
  let isOver = false;

  // Not a race with one promise of the end: that would remember each result until then, which may be for weeks.
  function nextOfSource(): Promise<IteratorResult<T, undefined>> {
    return new Promise((resolve, reject) => {
      stopWaiting = resolve;
      source.next().then(resolve, reject);
    });
  }

  async function finish(): Promise<IteratorResult<T, undefined>> {
    if (!isOver) {
      isOver = true;
      clearTimeout(farewell);
      lease.forgetHolder(holder);
      context.release();
      stopWaiting(done);
      // Nobody waits for a source's last words, so its failure to say them must not end the process.
      await Promise.resolve(source.return?.()).catch(() => {});
    }
    return done;
  }
  const holder: LeaseHolder = {
    onOver() {
      if (lease.isLost) context.cut();
      if (context.outlivesLease && !lease.isLost) farewell = setTimeout(finish, FAREWELL_MS);
      else void finish();
    },
  };
  if (lease.isOver) holder.onOver();
  else lease.tellOver(holder);
  context.onGone(() => void finish());

  return {
    async next() {
      if (isOver) return done;
      const result = await nextOfSource();
      if (result.done) return finish();
      // Asked at the moment of sending: the session may have ended, or memory become stale, since (P3).
      if (!context.outlivesLease && !(await context.directory.confirm(lease))) return finish();
      return { value: result.value, done: false };
    },
    return: finish,
    async throw(error) {
      await finish();
      throw error;
    },
    [Symbol.asyncIterator]() {
      return this;
    },
    async [Symbol.asyncDispose]() {
      await finish();
    },
  };
}
