import { spawn } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { eventually } from "./deadline.ts";
import { removeFolder, temporaryFolder } from "./folders.ts";
import type { Program } from "./program.ts";

export interface NginxOptions {
  /** The documented configuration. */
  readonly configFile: string;
  /** What is different here, by what the file says: ports, certificates. */
  readonly instead: Readonly<Record<string, string>>;
  readonly isUp: () => Promise<boolean>;
}

/** Runs nginx with a configuration from the documentation until the test has finished. Resolves once it is up. */
export async function startNginx(nginx: Program, { configFile, instead, isUp }: NginxOptions): Promise<void> {
  const folder = await temporaryFolder("nginx");
  onTestFinished(() => removeFolder(folder));
  const config = substitute(await readFile(configFile, "utf8"), {
    "/run/nginx.pid": join(folder, "nginx.pid"),
    "/var/log/nginx/error.log": join(folder, "error.log"),
    ...instead,
  });
  const file = join(folder, "nginx.conf");
  await writeFile(file, config);
  const child = spawn(nginx.path, ["-p", folder, "-c", file, "-g", "daemon off;"], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  let said = "";
  child.stderr.on("data", (chunk) => {
    said += chunk;
  });
  const ended = new Promise<never>((_resolve, reject) => {
    child.once("error", reject);
    child.once("close", () => reject(new Error(`nginx ended: ${said}`)));
  });
  ended.catch(() => {});
  onTestFinished(async () => {
    child.kill("SIGTERM");
    await ended.catch(() => {});
  });
  await Promise.race([ended, eventually("nginx answers", isUp)]);
}

/** All at once: what was put in is not looked at again, as a free port 40012 would be for its beginning, 4001. */
function substitute(text: string, instead: Readonly<Record<string, string>>): string {
  const found = Object.keys(instead);
  for (const place of found) {
    if (!text.includes(place)) throw new Error(`the documented configuration does not say "${place}"`);
  }
  const pattern = found.map((place) => place.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("|");
  return text.replace(new RegExp(pattern, "g"), (place) => instead[place] ?? place);
}
