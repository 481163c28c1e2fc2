import process from "node:process";
import { Command } from "commander";
import { readConfig } from "../../config.ts";
import { migrate } from "../../database/migrate.ts";
import { openDatabase } from "../../database/open.ts";
import { print } from "./output.ts";

export function migrateCommand(): Command {
  return new Command("migrate")
    .description("bring the database up to date, as every start does")
    .action(async () => {
      const database = await openDatabase(readConfig(process.env), { onError: () => {} });
      try {
        const applied = await migrate(database);
        print(applied.length > 0 ? `Applied ${applied.join(", ")}.` : `Up to date: ${database.description}.`);
      } finally {
        await database.close();
      }
    });
}
