import { mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { PGlite } from "@electric-sql/pglite";
import { PrismaPGlite } from "pglite-prisma-adapter";
import { OperatorError } from "../operator-error.ts";
import type { Database, OnQuery } from "./database.ts";
import { lockFolder } from "./folder-lock.ts";
import { createPrismaClient } from "./prisma-client.ts";

/**
 * Opens PGlite, PostgreSQL inside this process, with its files under `folder`.
 * Throws {@link OperatorError} if the folder cannot be written or another process uses it.
 */
export async function openEmbedded(
  folder: string,
  options: { readonly onQuery?: OnQuery | undefined },
): Promise<Database> {
  const path = resolve(folder);
  try {
    await mkdir(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw unusable(path, error);
  }
  // PGlite itself does not notice a second process on its files, and the two would destroy them.
  const lock = await lockFolder(path);
  let pglite: PGlite;
  try {
    pglite = await PGlite.create({ dataDir: join(path, "postgres") });
  } catch (error) {
    await lock.release();
    throw unusable(path, error);
  }

  const adapterFactory = new PrismaPGlite(pglite);
  const prisma = createPrismaClient(adapterFactory, options.onQuery);
  return {
    prisma,
    description: `embedded in ${path}`,
    adapterFactory,
    async openListener({ channel, onNotification }) {
      // There is one connection, inside this process: it cannot be lost.
      const unlisten = await pglite.listen(channel, onNotification);
      return {
        async query(text, values) {
          const result = await pglite.query<Record<string, unknown>>(text, [...values]);
          return result.rows;
        },
        close: () => unlisten(),
      };
    },
    // The folder's lock already keeps every other node away.
    exclusively: (_name, work) => work(),
    async close() {
      await prisma.$disconnect();
      if (!pglite.closed) await pglite.close();
      await lock.release();
    },
  };
}

function unusable(path: string, error: unknown): OperatorError {
  const reason = error instanceof Error ? error.message : String(error);
  return new OperatorError(`Cannot keep data in ${path}: ${reason}. Set DATA_DIR to a folder you can write.`);
}
