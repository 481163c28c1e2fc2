import process from "node:process";

type Commands = Readonly<Record<string, (argument: never) => unknown>>;

/** Tells the case that started this process that it is ready, and from then on does what it asks for. */
export function offer(ready: string, commands: Commands = {}): void {
  const all: Commands = { processorMs, residentBytes, ...commands };
  process.on("message", async ({ question, command, argument }: Question) => {
    try {
      const result = await all[command]?.(argument as never);
      process.send?.({ to: question, result });
    } catch (error) {
      process.send?.({ to: question, error: String(error) });
    }
  });
  process.on("disconnect", () => process.exit());
  process.send?.({ ready });
}

interface Question {
  readonly question: number;
  readonly command: string;
  readonly argument: unknown;
}

/** Processor time that it has used until now, in milliseconds. Nothing is collected for it, because that takes some. */
function processorMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}

/** Resident memory in bytes after a garbage collection. */
async function residentBytes(): Promise<number> {
  // Once is not enough for what only a finalizer lets go.
  for (let round = 0; round < 3; round++) {
    globalThis.gc?.();
    await new Promise(setImmediate);
  }
  return process.memoryUsage.rss();
}
