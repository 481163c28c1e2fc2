import { describe, expect, test } from "vitest";
import type { Mutant } from "./mutants.ts";
import type { FaultName } from "./nemesis.ts";
import { runHistory } from "./run.ts";

interface Suspect {
  readonly mutant: Mutant;
  /** What has to happen for it to show. */
  readonly faults: readonly FaultName[];
  readonly calmMs?: number;
  readonly residents?: number;
  /** How the checker says so. */
  readonly violation: RegExp;
}

const SUSPECTS: readonly Suspect[] = [
  {
    mutant: "tailOff",
    faults: ["listeners ended"],
    violation: /^P2: the client of session \S+ never learned of its end/,
  },
  {
    mutant: "fillRaceOpen",
    // A revocation has to fall into a load, which not each of these phases brings about.
    faults: ["pool's path slow", "pool's path slow", "pool's path slow", "pool's path slow"],
    violation: /^P3: a \w+ of session \S+ on node \d, begun at \d+, is served \d+ ms after its end/,
  },
  {
    mutant: "noStalenessCheck",
    faults: ["listener's path silent", "listener's path silent"],
    violation: /^P3: a \w+ of session \S+ on node \d, begun at \d+, is served \d+ ms after its end/,
  },
  {
    mutant: "noLeaseCheck",
    faults: ["listeners ended"],
    violation: /a socketQuery .* is served \d+ ms after its end/,
  },
  {
    mutant: "listenNotRenewed",
    faults: ["listeners ended"],
    calmMs: 16_000,
    violation: /^P1: node \d hears no notifications/,
  },
  {
    mutant: "notificationTrusted",
    faults: [],
    violation: /^P[67]: .* session \S+/,
  },
  {
    mutant: "completeBeforeRestart",
    // Only those show it who are connected to that node just then: one of so many is.
    faults: ["node restarted by SIGTERM", "node restarted by SIGTERM"],
    residents: 12,
    violation:
      /^P7: the subscriber of session \S+ on node \d is told before a restart that nothing more comes/,
  },
  {
    mutant: "logLockDropped",
    faults: [],
    violation: /^P2: node \d applied event \d+ after \d+, which is not the one before/,
  },
  {
    mutant: "changesEndNothing",
    faults: [],
    violation: /^P4: the UPDATE users SET role of user \S+ left session \S+ alive/,
  },
];

// A cursor without an anchor is shown in another-log.test.ts, which is what it takes to notice.
// Two at a time: they have servers of their own, wait most of the time, and what they do wrong is no matter of milliseconds.
describe.concurrent("the checker of histories notices a node", () => {
  test.each(SUSPECTS)(
    "that is a $mutant",
    async ({ mutant, faults, calmMs = 3_000, residents = 0, violation }) => {
      const { violations } = await runHistory({
        seed: 1,
        rounds: 1,
        faults,
        mutant,
        calmMs,
        residents,
        learningMs: 2_000,
      });
      expect(violations).toContainEqual(expect.stringMatching(violation));
    },
    120_000,
  );
});
