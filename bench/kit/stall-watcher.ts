import { mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { parentPort } from "node:worker_threads";
import type { Stall } from "./stalls.ts";

// A thread that does nothing but look at the clock, and at how long the disk takes for a small write, as a commit waits for one.
// Where even it is not run for a second, nothing on the machine was.

const LOOK_EVERY_MS = 50;
const WRITE_EVERY_MS = 500;
const SHORTEST_MS = 1_000;

function tell(what: Stall["what"], since: number): void {
  const ms = performance.now() - since;
  if (ms >= SHORTEST_MS) parentPort?.postMessage({ what, until: Date.now(), ms } satisfies Stall);
}

let lookedAt = performance.now();
const looking = setInterval(() => {
  tell("machine", lookedAt);
  lookedAt = performance.now();
}, LOOK_EVERY_MS);

const folder = await mkdtemp(join(tmpdir(), "live-logout-stalls-"));
const file = await open(join(folder, "file"), "w");
let isOver = false;
parentPort?.once("message", () => {
  isOver = true;
});
while (!isOver) {
  const begun = performance.now();
  await file.write(Buffer.alloc(8_192), 0, 8_192, 0);
  await file.datasync();
  tell("disk", begun);
  await pause(WRITE_EVERY_MS);
}
clearInterval(looking);
await file.close();
await rm(folder, { recursive: true });
