import process from "node:process";
import { parseArgs } from "node:util";
import { readConfig } from "../config.ts";
import { openDatabase } from "../database/open.ts";
import { OperatorError } from "../operator-error.ts";
import type { Anchor } from "../revocation/log.ts";
import { verifyLog } from "../revocation/verify-log.ts";

// `npm run verify-log` checks that nobody altered the log, and names the rows that somebody did.
// `npm run verify-log -- --head ID:HASH` checks too that a head that was noted earlier is still in it.
// Exit code 0: the log is whole. 1: it is not, or it could not be read.

const say = (line: string) => void process.stdout.write(`${line}\n`);

function toAnchor(text: string): Anchor {
  const [, id, rowHash] = /^(\d+):([0-9a-f]{64})$/.exec(text) ?? [];
  if (id === undefined || rowHash === undefined) {
    throw new OperatorError("--head takes what an earlier run printed as the log's head: ID:HASH.");
  }
  return { id, rowHash };
}

async function verify(heads: readonly string[]): Promise<void> {
  const expected = heads.map(toAnchor);
  const database = await openDatabase(readConfig(process.env), { onError: () => {} });
  try {
    const { eventCount, oldest, head, findings } = await verifyLog(database.prisma, expected);
    for (const { id, problem } of findings) say(`event ${id}: ${problem}`);
    say(`${eventCount} events${oldest ? `, from ${oldest.id} to ${head.id}` : ""}: ${database.description}`);
    if (oldest) say(`head ${head.id}:${head.rowHash}`);
    say(findings.length > 0 ? "The log is NOT as it was written." : "The log is whole.");
    process.exitCode = findings.length > 0 ? 1 : 0;
  } finally {
    await database.close();
  }
}

try {
  const { values } = parseArgs({ options: { head: { type: "string", multiple: true } } });
  await verify(values.head ?? []);
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
  process.exitCode = 1;
}
