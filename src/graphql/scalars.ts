import { GraphQLError } from "graphql";
import { z } from "zod";
import { builder } from "./builder.ts";

/** There is no year 0 in PostgreSQL. */
const dateTimeSchema = z.iso
  .datetime({ offset: true })
  .transform((text) => new Date(text))
  .refine((moment) => moment.getUTCFullYear() >= 1);

builder.scalarType("DateTime", {
  description: "A moment, as ISO 8601 with a time zone: `2026-11-21T09:30:00.000Z`.",
  serialize: (value) => value.toISOString(),
  parseValue(value) {
    const moment = dateTimeSchema.safeParse(value);
    if (!moment.success) {
      throw new GraphQLError("A DateTime is ISO 8601 with a time zone, like 2026-11-21T09:30:00Z.");
    }
    return moment.data;
  },
});
