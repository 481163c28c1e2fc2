import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { readConfig } from "../config.ts";
import { openEmbedded } from "../database/embedded.ts";
import { MIGRATIONS_FOLDER, migrate, schemaDrift } from "../database/migrate.ts";
import { openDatabase } from "../database/open.ts";
import { OperatorError } from "../operator-error.ts";

// `npm run migrate` brings the database of the settings up to date, as every start does.
// `npm run migrate -- --new NAME` writes a migration for what schema.prisma has and the migrations lack.

const say = (line: string) => void process.stdout.write(`${line}\n`);

async function applyMigrations(): Promise<void> {
  const database = await openDatabase(readConfig(process.env), { onError: () => {} });
  try {
    const applied = await migrate(database);
    say(applied.length > 0 ? `Applied ${applied.join(", ")}.` : `Up to date: ${database.description}.`);
  } finally {
    await database.close();
  }
}

async function writeMigration(name: string): Promise<void> {
  if (!/^[a-z][a-z0-9_]*$/.test(name)) throw new OperatorError("A migration's name is lower_case words.");
  const folder = await mkdtemp(join(tmpdir(), "live-logout-shadow-"));
  const shadow = await openEmbedded(folder, {});
  try {
    const sql = await schemaDrift(shadow);
    if (!sql) return say("prisma/schema.prisma and the migrations agree: nothing to write.");
    const time = new Date().toISOString().replace(/\D/g, "").slice(0, 14);
    const path = join(MIGRATIONS_FOLDER, `${time}_${name}`);
    await mkdir(path);
    await writeFile(join(path, "migration.sql"), sql);
    say(`Wrote ${path}. Read it; triggers are added by hand.`);
  } finally {
    await shadow.close();
    await rm(folder, { recursive: true, force: true, maxRetries: 10 });
  }
}

try {
  const { values } = parseArgs({ options: { new: { type: "string" } } });
  await (values.new === undefined ? applyMigrations() : writeMigration(values.new));
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
  process.exitCode = 1;
}
