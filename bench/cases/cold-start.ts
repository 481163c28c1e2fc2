import { setTimeout as pause } from "node:timers/promises";
import { removeFolder, temporaryFolder } from "../../test/kit/folders.ts";
import { spawnService } from "../../test/kit/service-process.ts";
import { now } from "../kit/clock.ts";
import { createBenchDatabase } from "../kit/database.ts";
import { NODE_SETTINGS } from "../kit/node-settings.ts";
import { atMost, type Case, median } from "../kit/report.ts";

const STARTS = 5;

export const coldStart: Case = {
  name: "cold-start",
  title: "from starting the process to its word that it is ready, on existing data",
  async run() {
    const folder = await temporaryFolder("bench");
    const database = await createBenchDatabase();
    try {
      const embedded = await startOften({ DATA_DIR: `${folder}/data` });
      const postgres = await startOften({ DATABASE_URL: database.url });
      return {
        table: [
          ["", "first, empty: s", "later (p50): s"],
          ["embedded", embedded.first / 1_000, embedded.later / 1_000],
          ["PostgreSQL", postgres.first / 1_000, postgres.later / 1_000],
        ],
        goals: [
          [
            atMost("seconds, embedded", 3, embedded.later / 1_000),
            atMost("seconds, PostgreSQL", 1.5, postgres.later / 1_000),
          ],
        ],
      };
    } finally {
      await database.remove();
      await removeFolder(folder);
    }
  },
};

async function startOften(settings: Readonly<Record<string, string>>) {
  const milliseconds: number[] = [];
  for (let count = 0; count <= STARTS; count++) {
    const startedAt = now();
    const service = spawnService({ ...NODE_SETTINGS, NODE_ENV: "production", ...settings });
    try {
      await service.ready();
      milliseconds.push(now() - startedAt);
    } finally {
      service.child.kill("SIGTERM");
      await service.exited;
    }
    await pause(200);
  }
  const [first = 0, ...later] = milliseconds;
  return { first, later: median(later) };
}
