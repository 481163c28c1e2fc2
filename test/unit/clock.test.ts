import { describe, expect, test } from "vitest";
import { createDatabaseClock, createElapsedClock } from "../../src/revocation/clock.ts";

const NOW = Date.parse("2026-11-21T12:00:00Z");

function setUp() {
  const time = { monotonic: 1_000, wall: NOW };
  const elapsed = createElapsedClock({ monotonicMs: () => time.monotonic }, () => time.wall);
  const pass = (ms: number, wallMs = ms) => {
    time.monotonic += ms;
    time.wall += wallMs;
  };
  return { time, elapsed, pass };
}

describe("elapsed time", () => {
  test("is the monotonic clock's while all is well", () => {
    const { elapsed, pass } = setUp();
    const began = elapsed();
    for (let count = 0; count < 1_000; count++) pass(10, 10 + ((count % 3) - 1));
    expect(elapsed() - began).toBe(10_000);
  });

  test("counts what the machine slept, which the monotonic clock does not", () => {
    const { elapsed, pass } = setUp();
    const began = elapsed();
    pass(100, 60_100);
    expect(elapsed() - began).toBe(60_100);
    pass(100);
    expect(elapsed() - began).toBe(60_200);
  });

  test("never goes back, whatever is done to the wall clock", () => {
    const { elapsed, pass } = setUp();
    const began = elapsed();
    pass(100, -3_600_000);
    expect(elapsed() - began).toBe(100);
    pass(100);
    expect(elapsed() - began).toBe(200);
  });
});

describe("the database's time", () => {
  test("is carried on by the monotonic clock, from what the database said last", () => {
    let monotonic = 5_000;
    const clock = createDatabaseClock({ monotonicMs: () => monotonic });
    expect(() => clock.now()).toThrow("the log was not read yet");
    clock.learn(new Date(NOW));
    monotonic += 1_234;
    expect(clock.now()).toBe(NOW + 1_234);
  });
});
