import process from "node:process";
import { defineConfig } from "prisma/config";

// `prisma generate` wants to download the schema engine although generating never runs it.
// Naming any existing binary keeps `npm ci` within the npm registry.
process.env["PRISMA_SCHEMA_ENGINE_BINARY"] ??= process.execPath;

export default defineConfig({
  schema: "prisma/schema.prisma",
  migrations: { path: "prisma/migrations" },
});
