import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { createDueTimes } from "../../src/revocation/due-times.ts";

const NOW = Date.parse("2026-11-21T12:00:00Z");

function setUp(isWanted: (item: string) => boolean = () => true) {
  const due: string[] = [];
  return { due, times: createDueTimes<string>({ now: Date.now, onDue: (item) => due.push(item), isWanted }) };
}

describe("due times", () => {
  beforeEach(() => void vi.useFakeTimers({ now: NOW }));
  afterEach(() => void vi.useRealTimers());

  test("call back at the moment, in the order of time, whatever the order they came in", () => {
    const { due, times } = setUp();
    times.add("third", NOW + 300);
    times.add("first", NOW + 100);
    times.add("second", NOW + 200);
    vi.advanceTimersByTime(99);
    expect(due).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(due).toEqual(["first"]);
    vi.advanceTimersByTime(1_000);
    expect(due).toEqual(["first", "second", "third"]);
  });

  test("reach further than a timer does", () => {
    const { due, times } = setUp();
    times.add("in a year", NOW + 365 * 86_400_000);
    vi.advanceTimersByTime(365 * 86_400_000);
    expect(due).toEqual(["in a year"]);
  });

  test("count the earliest time of an item, once, and let it come again afterwards", () => {
    const { due, times } = setUp();
    times.add("ann", NOW + 300);
    times.add("ann", NOW + 100);
    times.add("ann", NOW + 200);
    vi.advanceTimersByTime(1_000);
    expect(due).toEqual(["ann"]);
    times.add("ann", NOW + 2_000);
    vi.advanceTimersByTime(1_000);
    expect(due).toEqual(["ann", "ann"]);
  });

  test("leave out what is no longer wanted, and keep no memory of it", () => {
    const wanted = new Set(["ann"]);
    const { due, times } = setUp((item) => wanted.has(item));
    times.add("ann", NOW + 100);
    for (let count = 0; count < 10_000; count++) times.add(`gone ${count}`, NOW + 50);
    vi.advanceTimersByTime(1_000);
    expect(due).toEqual(["ann"]);
  });

  test("are checked at once after the clock has jumped", () => {
    const { due, times } = setUp();
    times.add("ann", NOW + 60_000);
    vi.setSystemTime(NOW + 60_000);
    times.check();
    expect(due).toEqual(["ann"]);
  });

  test("of never never come", () => {
    const { times } = setUp();
    times.add("ann", Number.POSITIVE_INFINITY);
    expect(vi.getTimerCount()).toBe(0);
  });
});
