import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { bindMigrationAwareSqlAdapterFactory } from "@prisma/driver-adapter-utils";
import type { MigrationList, SchemaEngine } from "@prisma/schema-engine-wasm";
import { OperatorError } from "../operator-error.ts";
import type { Database } from "./database.ts";

export const MIGRATIONS_FOLDER = join(import.meta.dirname, "../../prisma/migrations");
const SCHEMA = join(import.meta.dirname, "../../prisma/schema.prisma");
const NO_FILTERS = { externalTables: [], externalEnums: [] };

/**
 * Applies the migrations that the database lacks, one node at a time, and returns their names.
 * Throws {@link OperatorError} if the database was migrated by a newer version of the service.
 */
export async function migrate(
  database: Database,
  folder: string = MIGRATIONS_FOLDER,
): Promise<readonly string[]> {
  return database.exclusively("migrate", async () => {
    const list = await readMigrations(folder);
    const known = list.migrationDirectories.map((directory) => directory.path);
    const applied = await appliedMigrations(database);
    const unknown = applied.filter((name) => !known.includes(name));
    if (unknown.length > 0) {
      throw new OperatorError(
        `The database (${database.description}) is newer than this version of live-logout: it has the ` +
          `${unknown.length > 1 ? "migrations" : "migration"} ${unknown.join(", ")}. Run the newer version.`,
      );
    }
    if (known.every((name) => applied.includes(name))) return [];
    await forgetFailedMigrations(database);
    return withSchemaEngine(database, async (engine) => {
      const output = await engine.applyMigrations({ migrationsList: list, filters: NO_FILTERS });
      return output.appliedMigrationNames;
    });
  });
}

/**
 * The SQL that would make what the migrations build equal to `schema.prisma`; empty if they agree.
 * The database serves as the shadow that the migrations are run on: give it an empty, disposable one.
 */
export async function schemaDrift(database: Database): Promise<string> {
  const list = await readMigrations(MIGRATIONS_FOLDER);
  const schema = { path: "schema.prisma", content: await readFile(SCHEMA, "utf8") };
  return withSchemaEngine(database, async (engine) => {
    const { exitCode, stdout } = await engine.diff({
      from: { tag: "migrations", ...list },
      to: { tag: "schemaDatamodel", files: [schema] },
      script: true,
      exitCode: true,
      filters: NO_FILTERS,
    });
    return exitCode === 0 ? "" : (stdout ?? "");
  });
}

async function hasHistory(database: Database): Promise<boolean> {
  const tables = await database.prisma.$queryRaw<{ exists: boolean }[]>`
    SELECT to_regclass('_prisma_migrations') IS NOT NULL AS exists`;
  return tables[0]?.exists === true;
}

async function appliedMigrations(database: Database): Promise<readonly string[]> {
  if (!(await hasHistory(database))) return [];
  const rows = await database.prisma.$queryRaw<{ migration_name: string }[]>`
    SELECT migration_name FROM _prisma_migrations WHERE finished_at IS NOT NULL AND rolled_back_at IS NULL`;
  return rows.map((row) => row.migration_name);
}

/**
 * A migration is sent as one script, which is applied entirely or not at all. So one that failed (a full disk, a
 * lost connection) may simply be tried again, where Prisma would ask the operator to look what it left behind.
 */
async function forgetFailedMigrations(database: Database): Promise<void> {
  if (!(await hasHistory(database))) return;
  await database.prisma.$executeRaw`
    UPDATE _prisma_migrations SET rolled_back_at = now() WHERE finished_at IS NULL AND rolled_back_at IS NULL`;
}

async function readMigrations(folder: string): Promise<MigrationList> {
  const entries = await readdir(folder, { withFileTypes: true });
  const names = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  const lockfile = "migration_lock.toml";
  return {
    baseDir: folder,
    lockfile: { path: lockfile, content: await readFile(join(folder, lockfile), "utf8") },
    shadowDbInitScript: "",
    migrationDirectories: await Promise.all(
      names.sort().map(async (path) => {
        const value = await readFile(join(folder, path, "migration.sql"), "utf8");
        return { path, migrationFile: { path: "migration.sql", content: { tag: "ok" as const, value } } };
      }),
    ),
  };
}

/** Prisma's own engine as WebAssembly, in process: its native binary would have to be downloaded. */
async function withSchemaEngine<T>(
  database: Database,
  work: (engine: SchemaEngine) => Promise<T>,
): Promise<T> {
  // Loaded here because a start with nothing to migrate does not need it.
  const { SchemaEngine } = await import("@prisma/schema-engine-wasm");
  let panic = "";
  // The engine reports a panic to this global, which Prisma's command line would have set up.
  Reflect.set(globalThis, "PRISMA_WASM_PANIC_REGISTRY", {
    set_message: (message: string) => {
      panic = message;
    },
  });
  const adapter = bindMigrationAwareSqlAdapterFactory(database.adapterFactory);
  const engine = await SchemaEngine.new({ datamodels: undefined }, () => {}, adapter);
  try {
    return await work(engine);
  } catch (error) {
    // What the driver said is kept by number; the engine's message only refers to it.
    const number = /External error id#(\d+)/.exec(String(error))?.[1];
    const captured = number === undefined ? undefined : adapter.errorRegistry.consumeError(Number(number));
    const reason = captured?.error ?? error;
    const text = panic || (reason instanceof Error ? reason.message : String(reason));
    throw new OperatorError(`The database (${database.description}) cannot be migrated: ${text}`, {
      cause: error,
    });
  } finally {
    engine.free();
  }
}
