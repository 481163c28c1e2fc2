import { describe, expect, onTestFinished, test, vi } from "vitest";
import type { Listener, ListenerOptions } from "../../src/database/database.ts";
import { LOG_PAGE_SIZE, type Subject } from "../../src/revocation/log.ts";
import { startTail, type Tail, TailBehindError } from "../../src/revocation/tail.ts";
import { eventually } from "../kit/deadline.ts";

const NOW = new Date("2026-11-21T12:00:00Z");

/** A log in memory behind connections that a test can cut or silence. */
function createLog() {
  const rows: { id: number; hash: string }[] = [];
  const connections: ListenerOptions[] = [];
  let isDown = false;
  let isStandby = false;
  let identity = "first";
  let gate: Promise<void> | undefined;
  let reads = 0;
  return {
    connections,
    reads: () => reads,
    append: (count = 1, hash = "") => {
      for (let added = 0; added < count; added++) {
        const id = (rows.at(-1)?.id ?? 0) + 1;
        rows.push({ id, hash: `${hash}${id}` });
      }
    },
    /** What a restored backup or a failover does. */
    lose: (count: number) => void rows.splice(-count),
    server: (value: string) => {
      identity = value;
    },
    standby: (value: boolean) => {
      isStandby = value;
    },
    notify: (payload = "") => connections.at(-1)?.onNotification(payload),
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
          async query(_text, [cursor]) {
            if (isDown) throw new Error("down");
            reads += 1;
            const found =
              cursor === undefined
                ? rows.slice(-1)
                : rows.filter((row) => row.id >= Number(cursor)).slice(0, LOG_PAGE_SIZE + 1);
            const server = { at: NOW.getTime(), is_standby: isStandby, identity };
            await gate;
            const event = {
              type: "SESSION_CREATED",
              at: NOW.getTime(),
              session_id: "s",
              user_id: "u",
              actor_id: null,
              reason: null,
            };
            return [server, ...found.map(({ id, hash }) => ({ ...event, id: String(id), row_hash: hash }))];
          },
          async close() {},
        };
      },
    },
  };
}

async function setUp(log = createLog(), isAwaited: (subject: Subject) => boolean = () => true) {
  const applied: number[] = [];
  const restarts: string[] = [];
  const errors: unknown[] = [];
  const clock = { ms: 0 };
  const tail: Tail = await startTail({
    database: log.database,
    elapsedMs: () => clock.ms,
    onEvent: (event) => applied.push(Number(event.id)),
    onRestart: (cursor) => restarts.push(cursor),
    onServerChange: (cursor) => restarts.push(`server ${cursor}`),
    isAwaited,
    onRead: () => {},
    onError: (error) => errors.push(error),
    queryTimeoutMs: 1_000,
  });
  onTestFinished(() => tail.stop());
  return { log, tail, applied, restarts, errors, clock };
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

  describe("when it is notified of a session", () => {
    async function notified(...payloads: readonly string[]) {
      vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
      onTestFinished(() => void vi.useRealTimers());
      const { log, applied } = await setUp(
        createLog(),
        ({ sessionId, userId }) => sessionId === "awaited" && userId === "somebody's",
      );
      const before = log.reads();
      for (const payload of payloads) {
        log.append();
        log.notify(payload);
      }
      await vi.advanceTimersByTimeAsync(1);
      return { applied, reads: () => log.reads() - before };
    }

    test("that nobody waits for, reads a little later, once for all that came", async () => {
      const { applied, reads } = await notified("one somebody's", "two somebody's", "three somebody's");
      expect(reads()).toBe(0);
      await vi.advanceTimersByTimeAsync(100);
      expect(applied).toEqual([1, 2, 3]);
      expect(reads()).toBe(1);
    });

    test("that somebody waits for, reads at once, also what came before, and not again", async () => {
      const { applied, reads } = await notified("one somebody's", "awaited somebody's");
      expect(applied).toEqual([1, 2]);
      await vi.advanceTimersByTimeAsync(100);
      expect(reads()).toBe(1);
    });

    test.each(["", " ", "awaited", "awaited somebody's else", "\u0000"])(
      "reads at once when it is not said of which, or in other words: %j",
      async (payload) => {
        const { applied } = await notified(payload);
        expect(applied).toEqual([1]);
      },
    );
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

  test("lets others have their turn while it applies many", async () => {
    const { log, tail, applied } = await setUp();
    log.append(LOG_PAGE_SIZE);
    const seen = [0];
    let isLooking = true;
    const look = () => {
      seen.push(applied.length);
      if (isLooking) setImmediate(look);
    };
    setImmediate(look);
    await tail.catchUp(5_000);
    isLooking = false;
    seen.push(applied.length);
    const steps = seen.slice(1).map((count, index) => count - (seen[index] ?? 0));
    expect(applied).toHaveLength(LOG_PAGE_SIZE);
    expect(Math.max(...steps)).toBeLessThanOrEqual(200);
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

  test("begins anew when the log has lost events, also when their ids were used again", async () => {
    const { log, tail, applied, restarts, errors } = await setUp();
    log.append(5);
    await tail.catchUp(1_000);
    log.lose(3);
    log.append(7, "another ");
    await tail.catchUp(1_000);
    expect(applied).toEqual([1, 2, 3, 4, 5]);
    expect(restarts).toEqual(["0", "9"]);
    expect(String(errors[0])).toContain("the log has changed behind this node");
    log.append();
    await tail.catchUp(1_000);
    expect(applied.at(-1)).toBe(10);
  });

  test("begins anew when the log has lost everything", async () => {
    const { log, tail, applied, restarts } = await setUp();
    log.append(5);
    await tail.catchUp(1_000);
    log.lose(5);
    await tail.catchUp(1_000);
    log.append();
    await tail.catchUp(1_000);
    expect(restarts).toEqual(["0", "0"]);
    expect(applied).toEqual([1, 2, 3, 4, 5, 1]);
  });

  test("doubts what it followed from when another server answers, and misses no event by it", async () => {
    const { log, tail, applied, restarts } = await setUp();
    log.append(2);
    await tail.catchUp(1_000);
    log.server("second");
    log.append(2);
    await tail.catchUp(1_000);
    expect(restarts).toEqual(["0", "server 2"]);
    expect(applied).toEqual([1, 2, 3, 4]);
  });

  test("does not believe a standby", async () => {
    const { log, tail, applied, errors } = await setUp();
    log.standby(true);
    log.append();
    log.notify();
    await eventually("the standby is refused", () => errors.length > 0);
    expect(applied).toEqual([]);
    log.standby(false);
    await tail.catchUp(5_000);
    expect(applied).toEqual([1]);
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
