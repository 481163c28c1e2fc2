import { setImmediate as nextTurn } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { untilEnded } from "../../src/graphql/lease-binding.ts";
import { ServedSession } from "../../src/revocation/lease.ts";
import { createSessionStore } from "../kit/session-store.ts";

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

/** A session with a lease on it, and a subscription to numbers that are each an object of their own. */
function subscribe() {
  const store = createSessionStore();
  const { id } = store.insert();
  const snapshot = store.rows.get(id);
  if (!snapshot) throw new Error("the session was just inserted");
  const served = new ServedSession(snapshot);
  const ignore = () => {};
  const lease = served.lease({ onConnected: ignore, onUsed: ignore, onReleased: ignore });
  let isReturned = false;
  let count = 0;
  const waiting = Promise.withResolvers<IteratorResult<{ readonly count: number }, undefined>>();
  const source = {
    async next(): Promise<IteratorResult<{ readonly count: number }, undefined>> {
      if (count === LAST) return waiting.promise;
      count += 1;
      return { value: { count }, done: false };
    },
    async return() {
      isReturned = true;
      return { value: undefined, done: true } as const;
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
  const context = {
    outlivesLease: false,
    release: ignore,
    cut: ignore,
    onGone: ignore,
    directory: { confirm: () => !lease.isOver },
  };
  return { served, results: untilEnded(source, lease, context), isReturned: () => isReturned };
}

/** After so many results the source has none for a while. */
const LAST = 10;

test("a subscription remembers nothing of what it has told, however long it lasts", async () => {
  const { results } = subscribe();
  const told: WeakRef<{ readonly count: number }>[] = [];
  for (let count = 1; count <= LAST; count++) {
    const { value } = await results.next();
    expect(value?.count).toBe(count);
    if (value) told.push(new WeakRef(value));
  }
  const next = results.next();
  // What this turn has looked at is kept until its end.
  await nextTurn();
  collectGarbage();
  // The last one may still be on the stack.
  expect(told.slice(0, -1).map((result) => result.deref())).toEqual(Array(LAST - 1).fill(undefined));
  await results.return(undefined);
  expect(await next).toEqual({ value: undefined, done: true });
});

test("a subscription that waits for its next result ends with the session, and gives its source back", async () => {
  const { served, results, isReturned } = subscribe();
  for (let count = 1; count <= LAST; count++) await results.next();
  const next = results.next();
  const { session } = served.snapshot;
  served.finish({ sessionId: session.id, userId: session.userId, reason: "LOGOUT", revokedAt: new Date(0) });
  expect(await next).toEqual({ value: undefined, done: true });
  expect(isReturned()).toBe(true);
  expect(await results.next()).toEqual({ value: undefined, done: true });
});
