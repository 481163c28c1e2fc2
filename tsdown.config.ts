import { defineConfig } from "tsdown";

/** What users of the SDK install. */
export default defineConfig({
  cwd: "src/client",
  entry: ["core.ts", "react.ts", "apollo.ts", "urql.ts", "relay.ts"],
  format: "esm",
  platform: "neutral",
  target: "es2022",
  dts: true,
  outDir: "dist",
  // What makes the operations' texts does nothing else: those that the SDK does not send are left out.
  treeshake: { manualPureFunctions: ["TypedDocumentString"] },
  logLevel: "warn",
});
