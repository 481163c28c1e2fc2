import { join } from "node:path";
import { rolldown } from "rolldown";

const ROOT = join(import.meta.dirname, "../..");

/** A module of the project with all that it imports, as a page loads it. */
export async function bundle(
  entry: string,
  { minify = false }: { readonly minify?: boolean } = {},
): Promise<string> {
  const build = await rolldown({ input: join(ROOT, entry), platform: "browser", logLevel: "silent" });
  const { output } = await build.generate({ format: "esm", minify, codeSplitting: false });
  await build.close();
  return output[0].code;
}
