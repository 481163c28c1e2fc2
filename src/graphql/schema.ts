import { extendSchema, type GraphQLSchema, Kind } from "graphql";
import type { AddedRole } from "../users/roles.ts";
import { builder } from "./builder.ts";
import "./scalars.ts";
import "./results.ts";
import "./user.ts";
import "./session.ts";
import "./login.ts";
import "./password.ts";
import "./reauthenticate.ts";
import "./revoke.ts";
import "./user-administration.ts";
import "./session-events-query.ts";
import "./session-events-feed.ts";
import "./statistics.ts";
import "./log-status.ts";
import "./access-token.ts";
import "./service-account.ts";
import "./start-session.ts";
import "./event-receiver.ts";
import "./session-revocation.ts";

/** The whole schema. Each file above adds its type with its fields to the builder; a deployment may add roles. */
export function createSchema(addedRoles: readonly AddedRole[] = []): GraphQLSchema {
  const schema = builder.toSchema();
  if (addedRoles.length === 0) return schema;
  return extendSchema(schema, {
    kind: Kind.DOCUMENT,
    definitions: [
      {
        kind: Kind.ENUM_TYPE_EXTENSION,
        name: { kind: Kind.NAME, value: "Role" },
        values: addedRoles.map(({ name, description }) => ({
          kind: Kind.ENUM_VALUE_DEFINITION,
          name: { kind: Kind.NAME, value: name },
          description: { kind: Kind.STRING, value: description },
        })),
      },
    ],
  });
}
