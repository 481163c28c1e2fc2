import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: "test/kit/global-setup.ts",
    // As in production: Node itself loads the modules, so that each library is there once.
    experimental: { viteModuleRunner: false },
    // A node on PGlite needs a second or two to start, on two busy cores more.
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // Each file may run several nodes.
    maxWorkers: 2,
  },
});
