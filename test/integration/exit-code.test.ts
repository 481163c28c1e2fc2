import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import process from "node:process";
import { expect, test } from "vitest";

test("whatever has used a PostgreSQL of its own ends with the exit code that it wants: a failed run of tests with 1", async () => {
  const kit = join(import.meta.dirname, "../kit/postgres-server.ts");
  const script = `import { createPostgresServer } from ${JSON.stringify(kit)};
    const server = await createPostgresServer();
    await server.start();
    await server.remove();
    process.exitCode = 1;`;
  const child = spawn(process.execPath, ["--input-type=module-typescript", "-e", script], {
    stdio: "inherit",
  });
  expect(await once(child, "close")).toEqual([1, null]);
});
