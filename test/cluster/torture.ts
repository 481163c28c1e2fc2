import process from "node:process";
import { parseArgs } from "node:util";
import type { Mutant } from "./mutants.ts";
import type { FaultName } from "./nemesis.ts";
import { runHistory } from "./run.ts";

// `npm run torture -- --minutes 30` lets everything go wrong for that long and checks what the clients saw.
// `--seed N` repeats the faults of a run; `--fault NAME` (again and again) lets only these happen; `--mutant NAME` builds
// the nodes wrongly on purpose. Exit code 0: no violation.

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
say(
  `${violations.length} violations in ${((performance.now() - startedAt) / 60_000).toFixed(1)} minutes, seed ${values.seed}`,
);
process.exitCode = violations.length > 0 ? 1 : 0;
