import { randomUUID } from "node:crypto";
import { cp } from "node:fs/promises";
import pg from "pg";
import { inject } from "vitest";
import { removeFolder, temporaryFolder } from "./folders.ts";

export const TEMPLATE_DATABASE = "template_live_logout";

/** Where SQL is involved a test runs on both. */
export const DATABASES = ["embedded", "postgres"] as const;
export type DatabaseKind = (typeof DATABASES)[number];

/** A database of its own for one node or more, as the settings that select it. */
export interface TestDatabase {
  readonly kind: DatabaseKind;
  readonly settings: Readonly<Record<string, string>>;
  readonly remove: () => Promise<void>;
}

/** A new migrated database, or with `empty` one that no migration has seen. */
export async function createTestDatabase(
  kind: DatabaseKind,
  { empty = false }: { readonly empty?: boolean } = {},
): Promise<TestDatabase> {
  const folder = await temporaryFolder("data");
  if (kind === "embedded") {
    if (!empty) await cp(inject("embeddedTemplate"), folder, { recursive: true });
    return {
      kind,
      settings: { DATA_DIR: folder },
      remove: () => removeFolder(folder),
    };
  }
  const name = `test_${randomUUID().replaceAll("-", "")}`;
  await onServer(`CREATE DATABASE ${name}${empty ? "" : ` TEMPLATE ${TEMPLATE_DATABASE}`}`);
  return {
    kind,
    settings: { DATABASE_URL: `${inject("postgresUrl")}/${name}`, DATA_DIR: folder },
    async remove() {
      await onServer(`DROP DATABASE ${name} WITH (FORCE)`);
      await removeFolder(folder);
    },
  };
}

/** A database is only copied while nobody is connected to it; whoever just left may still be leaving. */
export async function sealTemplate(postgresUrl: string): Promise<void> {
  await onServer(`ALTER DATABASE ${TEMPLATE_DATABASE} WITH ALLOW_CONNECTIONS false`, postgresUrl);
  await onServer(
    `SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '${TEMPLATE_DATABASE}'`,
    postgresUrl,
  );
}

async function onServer(statement: string, postgresUrl = inject("postgresUrl")): Promise<void> {
  const client = new pg.Client({ connectionString: `${postgresUrl}/postgres` });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}
