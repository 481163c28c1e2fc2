import { join } from "node:path";
import type { TestProject } from "vitest/node";
import { openEmbedded } from "../../src/database/embedded.ts";
import { migrate } from "../../src/database/migrate.ts";
import { openPostgres } from "../../src/database/postgres.ts";
import { sealTemplate, TEMPLATE_DATABASE } from "./databases.ts";
import { removeFolder, temporaryFolder } from "./folders.ts";
import { createPostgresServer } from "./postgres-server.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** Of a real PostgreSQL server that lives as long as the test run; without the database's name. */
    postgresUrl: string;
    /** A folder with a migrated embedded database, to be copied: creating one takes seconds. */
    embeddedTemplate: string;
  }
}

/** Starts one PostgreSQL for the whole run and prepares an empty, migrated database of either kind. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const postgres = await createPostgresServer(["-c", "max_connections=200"]);
  await postgres.start();
  await postgres.query("postgres", `CREATE DATABASE ${TEMPLATE_DATABASE}`);
  const template = await openPostgres(`${postgres.url}/${TEMPLATE_DATABASE}`, { onError: () => {} });
  await migrate(template);
  await template.close();
  await sealTemplate(postgres.url);

  const folder = await temporaryFolder("test");
  const embeddedTemplate = join(folder, "embedded");
  const embedded = await openEmbedded(embeddedTemplate, {});
  await migrate(embedded);
  await embedded.close();

  project.provide("postgresUrl", postgres.url);
  project.provide("embeddedTemplate", embeddedTemplate);
  return async () => {
    await postgres.remove();
    await removeFolder(folder);
  };
}
