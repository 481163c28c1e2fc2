import process from "node:process";
import { parseArgs } from "node:util";
import type { Mutant } from "./mutants.ts";
import { FAULTS, type FaultName } from "./nemesis.ts";
import { runHistory } from "./run.ts";
import { findMissing, type Least, timesEach } from "./summary.ts";

// `npm run torture -- --minutes 30` lets everything go wrong for that long and checks what the clients saw.
// `--seed N` repeats the faults of a run; `--fault NAME` (again and again) lets only these happen; `--mutant NAME` builds
// the nodes wrongly on purpose. Exit code 0: no violation, and of a long run also that
// enough went wrong for it to mean something.

/** A run of so many minutes in which less than this happened proves nothing, so it fails. */
const LONG_MINUTES = 10;
const LEAST_OF_LONG: Least = {
  faults: timesEach(3, Object.keys(FAULTS)),
  closes: timesEach(1, ["1006", "1012", "1013", "4401"]),
  reasons: timesEach(1, ["EXPIRED", "LOGOUT", "PASSWORD_CHANGED", "REVOKED_BY_ADMIN", "ROLE_CHANGED"]),
  revocations: 1_000,
  inFlight: 1,
};

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "1" },
    rounds: { type: "string", default: "1" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    actors: { type: "string", default: "30" },
    fault: { type: "string", multiple: true },
    mutant: { type: "string" },
  },
});

const say = (line: string) => void process.stdout.write(`${line}\n`);
const startedAt = performance.now();
say(`seed ${values.seed}`);
const { violations, summary } = await runHistory({
  seed: Number(values.seed),
  rounds: Number(values.rounds),
  durationMs: Number(values.minutes) * 60_000,
  actors: Number(values.actors),
  ...(values.fault ? { faults: values.fault as FaultName[] } : {}),
  ...(values.mutant ? { mutant: values.mutant as Mutant } : {}),
  onProgress: (line) => say(`${((performance.now() - startedAt) / 1_000).toFixed(0).padStart(5)} s  ${line}`),
});
say(JSON.stringify(summary, undefined, 2));
for (const violation of violations.slice(0, 50)) say(violation);
const isWhole = !values.fault && !values.mutant && Number(values.minutes) >= LONG_MINUTES;
const missing = isWhole ? findMissing(summary, LEAST_OF_LONG) : [];
for (const what of missing) say(what);
say(
  `${violations.length} violations in ${((performance.now() - startedAt) / 60_000).toFixed(1)} minutes, seed ${values.seed}`,
);
process.exitCode = violations.length + missing.length > 0 ? 1 : 0;
