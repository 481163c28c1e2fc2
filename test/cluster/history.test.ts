import process from "node:process";
import { expect, test } from "vitest";
import { FAULTS } from "./nemesis.ts";
import { runHistory } from "./run.ts";
import { findMissing, timesEach } from "./summary.ts";

/** `SEED=17 npm test` lets the same things go wrong again. */
const seed = Number(process.env["SEED"] ?? Date.now() % 1_000_000);

test(`three nodes keep every promise while everything goes wrong (seed ${seed})`, async () => {
  const { violations, summary } = await runHistory({ seed, rounds: 1 });
  expect(violations).toEqual([]);
  const least = {
    faults: timesEach(1, Object.keys(FAULTS)),
    closes: timesEach(1, ["1006", "1013", "4401"]),
    reasons: timesEach(1, ["EXPIRED", "LOGOUT", "PASSWORD_CHANGED", "REVOKED_BY_ADMIN", "ROLE_CHANGED"]),
    revocations: 150,
    inFlight: 50,
  };
  expect(findMissing(summary, least)).toEqual([]);
}, 180_000);
