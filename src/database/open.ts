import type { Database, OpenOptions } from "./database.ts";
import { openPostgres } from "./postgres.ts";

/**
 * Opens the PostgreSQL at `databaseUrl`, or without one the embedded database in `dataDir`. Neither is migrated
 * yet. Throws `OperatorError` for what the operator has to mend.
 */
export async function openDatabase(
  settings: {
    readonly databaseUrl: string | undefined;
    readonly listenDatabaseUrl: string | undefined;
    readonly dataDir: string;
  },
  options: OpenOptions,
): Promise<Database> {
  if (settings.databaseUrl) return openPostgres(settings.databaseUrl, options, settings.listenDatabaseUrl);
  // Loaded only where it is used: it brings PostgreSQL along.
  const { openEmbedded } = await import("./embedded.ts");
  return openEmbedded(settings.dataDir, options);
}
