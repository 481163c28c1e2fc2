import type { Database, OpenOptions } from "./database.ts";
import { openEmbedded } from "./embedded.ts";
import { openPostgres } from "./postgres.ts";

/**
 * Opens the PostgreSQL at `databaseUrl`, or without one the embedded database in `dataDir`. Neither is migrated
 * yet. Throws `OperatorError` for what the operator has to mend.
 */
export function openDatabase(
  settings: {
    readonly databaseUrl: string | undefined;
    readonly listenDatabaseUrl: string | undefined;
    readonly dataDir: string;
  },
  options: OpenOptions,
): Promise<Database> {
  return settings.databaseUrl
    ? openPostgres(settings.databaseUrl, options, settings.listenDatabaseUrl)
    : openEmbedded(settings.dataDir, options);
}
