import { resolve } from "node:path";
import { rolldown } from "rolldown";

const ROOT = resolve(import.meta.dirname, "../..");

/** A module with all that it imports, as a page loads it; without what it only imports when it needs it. */
export async function bundle(
  entry: string,
  { minify = false }: { readonly minify?: boolean } = {},
): Promise<string> {
  const build = await rolldown({
    input: resolve(ROOT, entry),
    platform: "browser",
    logLevel: "silent",
    transform: { jsx: "react-jsx", define: { "process.env.NODE_ENV": '"development"' } },
  });
  const { output } = await build.generate({ format: "esm", minify });
  await build.close();
  return output[0].code;
}
