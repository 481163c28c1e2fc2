import { readdir, readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { expect, test } from "vitest";

const ROOT = join(import.meta.dirname, "../..");

test("docs/security.md names tests that there are", async () => {
  const page = await readFile(join(ROOT, "docs/security.md"), "utf8");
  const files = (await readdir(join(ROOT, "test"), { recursive: true })).filter((path) =>
    path.endsWith(".test.ts"),
  );
  const texts = new Map<string, string>();
  for (const path of files) {
    const name = basename(path, ".test.ts");
    texts.set(name, `${texts.get(name) ?? ""}${await readFile(join(ROOT, "test", path), "utf8")}`);
  }
  const rows = page.split("\n").filter((line) => line.startsWith("| ") && !line.startsWith("| |"));
  const cells = rows
    .map((row) => row.split(" | ").at(-1) ?? "")
    .filter((cell) => !cell.startsWith("shown by"));
  const named = cells.flatMap((cell) => cell.replace(/ \|$/, "").split(" · "));
  expect(named.length).toBeGreaterThan(60);
  const missing = named.filter((text) => {
    const [, file = "", name = ""] = /^`([\w-]+)` (.+)$/.exec(text) ?? [];
    return !name || !texts.get(file)?.includes(name);
  });
  expect(missing).toEqual([]);
});
