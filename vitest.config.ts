import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    globalSetup: "test/kit/global-setup.ts",
    projects: [
      {
        extends: true,
        test: { name: "tests", include: ["test/{unit,integration,browser}/**/*.test.ts"], maxWorkers: 2 },
      },
      {
        // Afterwards, so that nodes are not called slow which only had no processor to run on.
        extends: true,
        test: {
          name: "cluster",
          include: ["test/cluster/**/*.test.ts"],
          sequence: { groupOrder: 1 },
          maxWorkers: 1,
          maxConcurrency: 2,
        },
      },
    ],
    // As in production: Node itself loads the modules, so that each library is there once.
    experimental: { viteModuleRunner: false },
    // For what hangs. A node on PGlite needs a second or two to start, on two busy cores ten times as long.
    testTimeout: 60_000,
    hookTimeout: 120_000,
  },
});
