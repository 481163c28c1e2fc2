import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { lexicographicSortSchema, printSchema } from "graphql";
import { createSchema } from "./schema.ts";

// Prints the contract for people, clients and reviewers. With --check: says whether the printed one is current.
const FILE = join(import.meta.dirname, "../../schema/schema.graphql");
const printed = `${printSchema(lexicographicSortSchema(createSchema()))}\n`;
if (!process.argv.includes("--check")) {
  await writeFile(FILE, printed);
} else if ((await readFile(FILE, "utf8").catch(() => "")) !== printed) {
  process.stderr.write(
    "schema/schema.graphql does not match the code: run `npm run generate` and commit it.\n",
  );
  process.exitCode = 1;
}
