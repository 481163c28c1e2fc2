import { execFileSync } from "node:child_process";
import process from "node:process";
import { parseArgs } from "node:util";
import { authenticatedRequest } from "./cases/authenticated-request.ts";
import { coldStart } from "./cases/cold-start.ts";
import { growth } from "./cases/growth.ts";
import { idleSockets } from "./cases/idle-sockets.ts";
import { logOutEveryone } from "./cases/log-out-everyone.ts";
import { logTail } from "./cases/log-tail.ts";
import { logins } from "./cases/logins.ts";
import { massRevocation } from "./cases/mass-revocation.ts";
import { oneRevocation } from "./cases/one-revocation.ts";
import { otherServices } from "./cases/other-services.ts";
import { figuresOf } from "./kit/figures.ts";
import { type Case, type Finished, isReached, print, writeRun } from "./kit/report.ts";

// `npm run bench`: all cases, one after the other, each side by side with what it is compared with.
// `npm run bench -- --only idle-sockets` runs one of them, and writes no file.

const CASES: readonly Case[] = [
  authenticatedRequest,
  oneRevocation,
  logOutEveryone,
  idleSockets,
  massRevocation,
  logins,
  logTail,
  coldStart,
  growth,
  otherServices,
];

const { values } = parseArgs({ options: { only: { type: "string" } } });
const chosen = CASES.filter(({ name }) => !values.only || values.only.split(",").includes(name));
if (chosen.length === 0) throw new Error(`--only takes: ${CASES.map(({ name }) => name).join(", ")}`);

const say = (line: string) => void process.stdout.write(`${line}\n`);
const finished: Finished[] = [];
for (const { name, title, run } of chosen) {
  say(`${name}: ${title}`);
  const startedAt = performance.now();
  const outcome = await run();
  const seconds = Math.round((performance.now() - startedAt) / 1_000);
  finished.push({ name, title, seconds, ...outcome });
  say(print(outcome));
}
const goals = finished.flatMap((one) => one.goals);
say(
  `${goals.filter(isReached).length} of ${goals.length} goals reached, in ${finished.reduce((sum, { seconds }) => sum + seconds, 0)} s`,
);
if (!values.only) {
  const commit = execFileSync("git", ["rev-parse", "--short", "HEAD"], {
    cwd: import.meta.dirname,
    encoding: "utf8",
  });
  const { file, run } = await writeRun(commit.trim(), finished);
  say(`written to ${file}\n\nFor the README:\n\n${figuresOf(run)}`);
}
