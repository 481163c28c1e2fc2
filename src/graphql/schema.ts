import type { GraphQLSchema } from "graphql";
import { builder } from "./builder.ts";
import "./scalars.ts";
import "./results.ts";
import "./user.ts";
import "./session.ts";
import "./login.ts";
import "./revoke.ts";
import "./user-administration.ts";
import "./session-event.ts";
import "./session-revocation.ts";

/** The whole schema. Each file above adds its type with its fields to the builder. */
export function createSchema(): GraphQLSchema {
  return builder.toSchema();
}
