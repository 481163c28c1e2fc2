import { onTestFinished } from "vitest";
import { within } from "./deadline.ts";
import { expectNoSecret } from "./secrets.ts";
import { type ServiceProcess, type SpawnOptions, spawnService } from "./service-process.ts";

/** Starts the service with these settings and nothing else of the environment; killed when the test has finished. */
export function startProcess(
  settings: Readonly<Record<string, string>>,
  options?: SpawnOptions,
): ServiceProcess {
  const service = spawnService(settings, options);
  onTestFinished(() => {
    service.child.kill("SIGKILL");
    // Standard output is for whoever starts it: the first administrator's password is shown there, once.
    expectNoSecret(service.output().stderr.split("\n"));
  });
  return service;
}

/** Runs one of the project's commands and waits for its end. */
export async function runToEnd(
  script: string,
  args: readonly string[],
  settings: Readonly<Record<string, string>>,
): Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }> {
  const command = startProcess(settings, { script, args });
  const { code } = await within(30_000, `the end of ${script}`, command.exited);
  return { code, ...command.output() };
}
