import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { within } from "./deadline.ts";

const ROOT = join(import.meta.dirname, "../..");

/** The service as a process of its own, as an operator runs it. */
export interface ServiceProcess {
  readonly child: ChildProcess;
  readonly output: () => { readonly stdout: string; readonly stderr: string };
  /** Resolves with the URL once the service says that it is ready; fails if it ends instead. */
  readonly ready: () => Promise<string>;
  readonly exited: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;
}

export interface SpawnOptions {
  /** What to run instead of the service, from the project's folder. */
  readonly script?: string;
  readonly args?: readonly string[];
  /** Options of Node itself. */
  readonly nodeOptions?: readonly string[];
}

/** How much of each stream is kept: the beginning, which says how it was reached, and the end, which says why. */
const KEPT_CHARACTERS = 200_000;

/** Starts it with these settings and nothing else of the environment. The caller ends it. */
export function spawnService(
  settings: Readonly<Record<string, string>>,
  { script = "src/cli/start.ts", args = [], nodeOptions = [] }: SpawnOptions = {},
): ServiceProcess {
  const child = spawn(
    process.execPath,
    ["--disable-warning=ExperimentalWarning", ...nodeOptions, join(ROOT, script), ...args],
    { env: { PATH: process.env["PATH"], PORT: "0", ...settings }, stdio: ["ignore", "pipe", "pipe"] },
  );
  let stdout = "";
  let stderr = "";
  const isReady = Promise.withResolvers<string>();
  isReady.promise.catch(() => {});
  child.stdout.on("data", (chunk) => {
    stdout = (stdout + chunk).slice(0, KEPT_CHARACTERS);
    const url = /ready at (http:\S+)/.exec(stdout)?.[1];
    if (url) isReady.resolve(url);
  });
  child.stderr.on("data", (chunk) => {
    stderr = (stderr + chunk).slice(-KEPT_CHARACTERS);
  });
  const exited = once(child, "close").then(([code, signal]) => {
    isReady.reject(new Error(`the service ended: ${stdout}${stderr}`));
    return { code, signal };
  });
  return {
    child,
    output: () => ({ stdout, stderr }),
    ready: () => within(55_000, "the service to be ready", isReady.promise),
    exited,
  };
}
