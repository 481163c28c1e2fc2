import SchemaBuilder from "@pothos/core";
import ComplexityPlugin from "@pothos/plugin-complexity";
import PrismaPlugin from "@pothos/plugin-prisma";
import RelayPlugin from "@pothos/plugin-relay";
import type PrismaTypes from "../database/generated/pothos-types.ts";
import { getDatamodel } from "../database/generated/pothos-types.ts";
import type { Context } from "./context.ts";
import { costOf, MAX_COST } from "./cost.ts";
import { tooCostly } from "./errors.ts";

/** The one place that knows Pothos' plugins. Each type's own file adds its fields to this builder. */
export const builder = new SchemaBuilder<{
  Context: Context;
  PrismaTypes: PrismaTypes;
  DefaultFieldNullability: false;
  DefaultEdgesNullability: { list: false; items: false };
  DefaultNodeNullability: false;
  Scalars: { DateTime: { Input: Date; Output: Date }; ID: { Input: string; Output: string } };
}>({
  plugins: [ComplexityPlugin, RelayPlugin, PrismaPlugin],
  defaultFieldNullability: false,
  relay: {
    clientMutationId: "omit",
    cursorType: "String",
    nodeQueryOptions: false,
    nodesQueryOptions: false,
    firstArgOptions: { description: "How many to take after the cursor: 1 to 100, 20 if nothing is said." },
    afterArgOptions: { description: "A cursor: take what comes after it." },
    lastArgOptions: { description: "How many to take before the cursor: 1 to 100." },
    beforeArgOptions: { description: "A cursor: take what comes before it." },
    edgesFieldOptions: { description: "What is on this page.", nullable: { list: false, items: false } },
    nodeFieldOptions: { description: "The thing itself.", nullable: false },
    cursorFieldOptions: { description: "Give it back as `after` or `before`." },
    pageInfoFieldOptions: { description: "Where this page stands." },
    pageInfoTypeOptions: { description: "Where a page stands among all." },
    hasNextPageFieldOptions: { description: "Whether more comes after this page." },
    hasPreviousPageFieldOptions: { description: "Whether more comes before this page." },
    startCursorFieldOptions: { description: "The cursor of the first on this page." },
    endCursorFieldOptions: { description: "The cursor of the last on this page." },
  },
  complexity: {
    limit: { complexity: MAX_COST },
    fieldComplexity: costOf,
    complexityError: () => tooCostly(MAX_COST),
  },
  prisma: {
    client: (context) => context.prisma,
    dmmf: getDatamodel(),
  },
});

builder.queryType({ description: "What can be asked." });
builder.mutationType({ description: "What can be done. Expected failures are members of the results." });
builder.subscriptionType({
  description: "What is told as it happens, over WebSocket or server-sent events.",
});
