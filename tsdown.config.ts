import { defineConfig } from "tsdown";

/** What users install: the SDK, and the verifier for other back ends. */
export default defineConfig([
  {
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
  },
  {
    cwd: "src/verifier",
    entry: [
      "verifier.ts",
      "http.ts",
      "express.ts",
      "fastify.ts",
      "hono.ts",
      "ws.ts",
      "graphql-ws.ts",
      "socket-io.ts",
    ],
    format: "esm",
    platform: "node",
    fixedExtension: false,
    target: "es2023",
    dts: true,
    outDir: "dist",
    logLevel: "warn",
  },
]);
