import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { Worker } from "node:worker_threads";

/** The whole machine stood still, or its disk took so long to write a few kB. */
export interface Stall {
  readonly what: "machine" | "disk";
  /** When it went on, in milliseconds since the epoch. */
  readonly until: number;
  readonly ms: number;
}

/** What happens so long after it may be because of it: the longest wait that the service ends by itself is one of twelve seconds. */
const AFTERMATH_MS = 15_000;

export interface Stalls {
  readonly all: readonly Stall[];
  /** Whether what happened then, in milliseconds since the epoch, may be because of one. */
  readonly explain: (at: number) => boolean;
  readonly stop: () => Promise<void>;
}

export function watchForStalls(): Stalls {
  const all: Stall[] = [];
  const watcher = new Worker(new URL("./stall-watcher.ts", import.meta.url));
  watcher.on("message", (stall: Stall) => void all.push(stall));
  return {
    all,
    explain: (at) => all.some(({ until, ms }) => at >= until - ms && at <= until + AFTERMATH_MS),
    async stop() {
      watcher.postMessage("stop");
      await once(watcher, "exit");
    },
  };
}

/** The share of the processors' time since the last call that the machine's host gave to others, in percent. 0 where that cannot be known. */
export function createStolenShare(): () => Promise<number> {
  let [stolenBefore, totalBefore] = [0, 0];
  return async () => {
    const line = await readFile("/proc/stat", "utf8").then(
      (text) => text.split("\n")[0] ?? "",
      () => "",
    );
    // Of user, nice, system, idle, iowait, irq, softirq, steal.
    const times = line.trim().split(/\s+/).slice(1, 9).map(Number);
    const [stolen, total] = [times[7] ?? 0, times.reduce((sum, time) => sum + time, 0)];
    const share = total > totalBefore ? (100 * (stolen - stolenBefore)) / (total - totalBefore) : 0;
    [stolenBefore, totalBefore] = [stolen, total];
    return Math.round(share);
  };
}
