import { parentPort } from "node:worker_threads";
import type { Stall } from "./stalls.ts";

// A thread that does nothing but look at the clock. Where even it is not run for a second, nothing on the machine was.

const LOOK_EVERY_MS = 50;
const SHORTEST_MS = 1_000;

let lookedAt = performance.now();
setInterval(() => {
  const now = performance.now();
  const ms = now - lookedAt;
  lookedAt = now;
  if (ms >= SHORTEST_MS) parentPort?.postMessage({ until: Date.now(), ms } satisfies Stall);
}, LOOK_EVERY_MS);
