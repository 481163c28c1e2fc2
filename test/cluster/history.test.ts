import process from "node:process";
import { expect, test } from "vitest";
import { FAULTS } from "./nemesis.ts";
import { runHistory } from "./run.ts";

/** `SEED=17 npm test` lets the same things go wrong again. */
const seed = Number(process.env["SEED"] ?? Date.now() % 1_000_000);

test(`three nodes keep every promise while everything goes wrong (seed ${seed})`, async () => {
  const { violations, summary } = await runHistory({ seed, rounds: 1 });
  expect(violations).toEqual([]);
  // And it was no empty run: everything that is spoken of above really happened.
  expect(Object.keys(summary.faults).sort()).toEqual(Object.keys(FAULTS).sort());
  expect(Object.keys(summary.reasons).length).toBeGreaterThanOrEqual(5);
  expect(Object.keys(summary.closes)).toEqual(expect.arrayContaining(["1006", "1013", "4401"]));
  const ended = Object.values(summary.reasons).reduce((sum, count) => sum + count);
  expect(ended).toBeGreaterThan(150);
  expect(summary.inFlight).toBeGreaterThan(50);
}, 180_000);
