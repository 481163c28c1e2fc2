import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { within } from "./deadline.ts";

const MAIN = join(import.meta.dirname, "../../src/main.ts");

/** The service as a process of its own, as an operator runs it. */
export interface ServiceProcess {
  readonly child: ChildProcess;
  readonly output: () => { readonly stdout: string; readonly stderr: string };
  /** Resolves with the URL once the service says that it is ready; fails if it ends instead. */
  readonly ready: () => Promise<string>;
  readonly exited: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;
}

/** Starts the service with these settings and nothing else of the environment; killed when the test has finished. */
export function startProcess(settings: Readonly<Record<string, string>>): ServiceProcess {
  const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", MAIN], {
    env: { PATH: process.env["PATH"], PORT: "0", ...settings },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let stdout = "";
  let stderr = "";
  const isReady = Promise.withResolvers<string>();
  isReady.promise.catch(() => {});
  child.stdout.on("data", (chunk) => {
    stdout += chunk;
    const url = /ready at (http:\S+)/.exec(stdout)?.[1];
    if (url) isReady.resolve(url);
  });
  child.stderr.on("data", (chunk) => {
    stderr += chunk;
  });
  const exited = once(child, "close").then(([code, signal]) => {
    isReady.reject(new Error(`the service ended: ${stdout}${stderr}`));
    return { code, signal };
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  return {
    child,
    output: () => ({ stdout, stderr }),
    ready: () => within(30_000, "the service to be ready", isReady.promise),
    exited,
  };
}
