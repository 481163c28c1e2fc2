import { describe, expect, onTestFinished, test } from "vitest";
import type { Listener, ListenerOptions } from "../../src/database/database.ts";
import { LOG_PAGE_SIZE } from "../../src/revocation/log.ts";
import { startTail, type Tail, TailBehindError } from "../../src/revocation/tail.ts";
import { eventually } from "../kit/deadline.ts";

const NOW = new Date("2026-11-21T12:00:00Z");

/** A log in memory behind connections that a test can cut or silence. */
function createLog() {
  const ids: number[] = [];
  const connections: ListenerOptions[] = [];
  let isDown = false;
  let gate: Promise<void> | undefined;
  let reads = 0;
  return {
    connections,
    reads: () => reads,
    append: (count = 1) => {
      for (let added = 0; added < count; added++) ids.push((ids.at(-1) ?? 0) + 1);
    },
    notify: () => connections.at(-1)?.onNotification(),
    down: (value: boolean) => {
      isDown = value;
    },
    cut: () => connections.at(-1)?.onLost(new Error("cut")),
    hold(): () => void {
      const { promise, resolve } = Promise.withResolvers<void>();
      gate = promise;
      return () => {
        gate = undefined;
        resolve();
      };
    },
    database: {
      async openListener(options: ListenerOptions): Promise<Listener> {
        if (isDown) throw new Error("down");
        connections.push(options);
        return {
          async query(text, [cursor]) {
            if (isDown) throw new Error("down");
            if (text.includes("max(id)")) return [{ head: String(ids.at(-1) ?? 0) }];
            reads += 1;
            const found = ids.filter((id) => id > Number(cursor)).slice(0, LOG_PAGE_SIZE);
            await gate;
            const event = { type: "SESSION_CREATED", at: NOW, session_id: "s", user_id: "u", reason: null };
            if (found.length === 0) return [{ now: NOW, id: null }];
            return found.map((id) => ({ now: NOW, id: String(id), ...event }));
          },
          async close() {},
        };
      },
    },
  };
}

async function setUp(log = createLog()) {
  const applied: number[] = [];
  const errors: unknown[] = [];
  const clock = { ms: 0 };
  const tail: Tail = await startTail({
    database: log.database,
    clock: { monotonicMs: () => clock.ms },
    onEvent: (event) => applied.push(Number(event.id)),
    onRead: () => {},
    onError: (error) => errors.push(error),
    queryTimeoutMs: 1_000,
  });
  onTestFinished(() => tail.stop());
  return { log, tail, applied, errors, clock };
}

describe("the tail", () => {
  test("begins at the head: what happened before it is nobody's in memory", async () => {
    const log = createLog();
    log.append(5);
    const { tail, applied } = await setUp(log);
    log.append();
    await tail.catchUp(1_000);
    expect(applied).toEqual([6]);
  });

  test("reads when it is notified", async () => {
    const { log, applied } = await setUp();
    log.append();
    log.notify();
    await eventually("the event is applied", () => applied.length === 1);
  });

  test("reads without being notified, too", async () => {
    const { log, applied } = await setUp();
    log.append();
    await eventually("the event is applied", () => applied.length === 1);
  });

  test("reads on when more came than one page holds, in order and once", async () => {
    const { log, tail, applied } = await setUp();
    log.append(2 * LOG_PAGE_SIZE + 1);
    await tail.catchUp(5_000);
    expect(applied).toEqual(Array.from({ length: 2 * LOG_PAGE_SIZE + 1 }, (_, index) => index + 1));
  });

  test("catching up means a read that began afterwards, not the one under way", async () => {
    const { log, tail, applied } = await setUp();
    const letGo = log.hold();
    log.notify();
    const before = log.reads();
    await eventually("a read is under way", () => log.reads() > before);
    log.append();
    const caughtUp = tail.catchUp(5_000).then(() => [...applied]);
    letGo();
    expect(await caughtUp).toEqual([1]);
  });

  test("catching up fails when the log cannot be read in time", async () => {
    const { log, tail } = await setUp();
    const letGo = log.hold();
    await expect(tail.catchUp(20)).rejects.toThrow(TailBehindError);
    letGo();
  });

  test("staleness is counted from the start of the last good read", async () => {
    const { log, tail, clock } = await setUp();
    clock.ms = 100;
    const letGo = log.hold();
    const before = log.reads();
    const caughtUp = tail.catchUp(5_000);
    await eventually("the read has begun", () => log.reads() > before);
    clock.ms = 900;
    letGo();
    await caughtUp;
    expect(tail.stalenessMs()).toBe(800);
  });

  test("after a lost connection listens again, catches up from its cursor, and misses nothing", async () => {
    const { log, tail, applied, errors } = await setUp();
    log.append();
    await tail.catchUp(1_000);
    log.down(true);
    log.cut();
    await eventually("the loss is noticed", () => errors.length > 0);
    log.append(3);
    log.down(false);
    await tail.catchUp(5_000);
    expect(applied).toEqual([1, 2, 3, 4]);
    expect(log.connections.length).toBeGreaterThan(1);
  });

  test("that cannot read at the start says so instead of starting", async () => {
    const log = createLog();
    log.down(true);
    await expect(setUp(log)).rejects.toThrow("down");
  });

  test("whoever waits when it stops is told that it is behind", async () => {
    const { log, tail } = await setUp();
    log.down(true);
    const caughtUp = tail.catchUp(10_000);
    const told = expect(caughtUp).rejects.toThrow(TailBehindError);
    await tail.stop();
    await told;
  });
});
