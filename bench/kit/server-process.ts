import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import process from "node:process";

const BENCH = join(import.meta.dirname, "..");

/** A process that a case measures, or that loads what is measured. */
export interface BenchProcess {
  readonly pid: number;
  /** What it said of itself when it was ready: mostly its URL. */
  readonly ready: string;
  /** Asks it for one of its commands, and resolves with the answer. */
  readonly ask: <T>(command: string, argument?: unknown) => Promise<T>;
  /** Kills it; resolves when it is gone. */
  readonly stop: () => Promise<void>;
}

export interface StartOptions {
  readonly settings?: Readonly<Record<string, string>>;
  readonly nodeOptions?: readonly string[];
}

/**
 * Starts a script of this folder, which calls `offer` of `./offer.ts`, with these settings and nothing else of the
 * environment. All can collect their garbage when asked to, so that memory is compared as what is really held.
 */
export async function startProcess(
  script: string,
  { settings = {}, nodeOptions = [] }: StartOptions = {},
): Promise<BenchProcess> {
  const child = fork(join(BENCH, script), {
    env: { PATH: process.env["PATH"], NODE_ENV: "production", ...settings },
    execArgv: ["--disable-warning=ExperimentalWarning", "--expose-gc", ...nodeOptions],
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
  const exited = once(child, "exit");
  let isOver = false;
  void exited.then(() => {
    isOver = true;
  });
  const ready = await Promise.race([
    once(child, "message").then(([message]) => String((message as { ready: unknown }).ready)),
    exited.then(([code]) => {
      throw new Error(`${script} ended with ${code}`);
    }),
  ]);
  return {
    pid: child.pid ?? 0,
    ready,
    ask: (command, argument) => ask(child, script, command, argument),
    async stop() {
      if (!isOver) child.kill("SIGKILL");
      await exited;
    },
  };
}

/** Processes that end together. */
export function startAll(): {
  readonly start: typeof startProcess;
  readonly stop: () => Promise<void>;
} {
  const started: BenchProcess[] = [];
  return {
    async start(script, options) {
      const process = await startProcess(script, options);
      started.push(process);
      return process;
    },
    async stop() {
      await Promise.all(started.map((process) => process.stop()));
    },
  };
}

let questions = 0;

function ask<T>(child: ChildProcess, script: string, command: string, argument: unknown): Promise<T> {
  questions += 1;
  const question = questions;
  return new Promise((resolve, reject) => {
    const onMessage = (message: unknown) => {
      const answer = message as { readonly to?: number; readonly result?: T; readonly error?: string };
      if (answer.to !== question) return;
      forget();
      if (answer.error === undefined) resolve(answer.result as T);
      else reject(new Error(`${script}: ${command}: ${answer.error}`));
    };
    const onExit = () => reject(new Error(`${script} ended during ${command}`));
    function forget() {
      child.off("message", onMessage);
      child.off("exit", onExit);
    }
    child.on("message", onMessage);
    child.once("exit", onExit);
    child.send({ question, command, argument });
  });
}
