import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { figuresOf } from "../../bench/kit/figures.ts";
import type { Run } from "../../bench/kit/report.ts";

const ROOT = join(import.meta.dirname, "../..");

test("the README's figures are those of the run that it names", async () => {
  const readme = await readFile(join(ROOT, "README.md"), "utf8");
  const file = /\(bench\/results\/[\w-]+\.json\)/.exec(readme)?.[0].slice(1, -1) ?? "no file";
  const run = JSON.parse(await readFile(join(ROOT, file), "utf8")) as Run;
  expect(readme).toContain(figuresOf(run));
});
