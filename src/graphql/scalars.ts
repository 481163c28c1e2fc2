import { GraphQLError } from "graphql";
import { z } from "zod";
import { builder } from "./builder.ts";

const dateTimeSchema = z.iso.datetime({ offset: true });

builder.scalarType("DateTime", {
  description: "A moment, as ISO 8601 with a time zone: `2026-11-21T09:30:00.000Z`.",
  serialize: (value) => value.toISOString(),
  parseValue(value) {
    const text = dateTimeSchema.safeParse(value);
    if (!text.success) {
      throw new GraphQLError("A DateTime is ISO 8601 with a time zone, like 2026-11-21T09:30:00Z.");
    }
    return new Date(text.data);
  },
});
