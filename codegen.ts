import type { CodegenConfig } from "@graphql-codegen/cli";

/** Typed documents from schema/operations, for the SDK, the dashboard and the tests. */
const config: CodegenConfig = {
  schema: "schema/schema.graphql",
  documents: "schema/operations/*.graphql",
  silent: true,
  importExtension: ".ts",
  generates: {
    "src/client/generated/": {
      preset: "client",
      presetConfig: { fragmentMasking: false },
      config: {
        useTypeImports: true,
        enumsAsTypes: true,
        // Text is what is sent, and far smaller than a syntax tree.
        documentMode: "string",
        pureMagicComment: true,
        scalars: { DateTime: "string", ID: "string" },
      },
    },
  },
};

export default config;
