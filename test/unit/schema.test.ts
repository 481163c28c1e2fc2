import {
  getNamedType,
  isEnumType,
  isInputObjectType,
  isInterfaceType,
  isObjectType,
  isUnionType,
} from "graphql";
import { describe, expect, test } from "vitest";
import { createSchema } from "../../src/graphql/schema.ts";

const schema = createSchema();
const types = Object.values(schema.getTypeMap()).filter((type) => !type.name.startsWith("__"));
const BUILT_IN = ["String", "Int", "Float", "Boolean", "ID"];

/** Everything that can have a description, by its coordinate: `User.sessions`, `Query.users(first:)`. */
function* coordinates(): Generator<readonly [string, string | null | undefined]> {
  for (const type of types) {
    if (BUILT_IN.includes(type.name)) continue;
    yield [type.name, type.description];
    if (isObjectType(type) || isInterfaceType(type)) {
      for (const field of Object.values(type.getFields())) {
        yield [`${type.name}.${field.name}`, field.description];
        for (const argument of field.args) {
          yield [`${type.name}.${field.name}(${argument.name}:)`, argument.description];
        }
      }
    } else if (isInputObjectType(type)) {
      for (const field of Object.values(type.getFields()))
        yield [`${type.name}.${field.name}`, field.description];
    } else if (isEnumType(type)) {
      for (const value of type.getValues()) yield [`${type.name}.${value.name}`, value.description];
    }
  }
}

/** A field as the contract writes it: `login(input: LoginInput!): LoginResult!`. */
function signatures(typeName: string): readonly string[] {
  const type = schema.getType(typeName);
  if (!isObjectType(type)) throw new Error(`there is no object type ${typeName}`);
  return Object.values(type.getFields()).map((field) => {
    const parameters = field.args.map((argument) => `${argument.name}: ${argument.type}`).sort();
    return `${field.name}${parameters.length > 0 ? `(${parameters.join(", ")})` : ""}: ${field.type}`;
  });
}

describe("the schema", () => {
  test("describes every type, field, argument and enum value", () => {
    expect([...coordinates()].filter(([, description]) => !description?.trim())).toEqual([]);
  });

  test.each([
    ["Query", "viewer: User"],
    ["Query", "currentSession: Session"],
    ["Query", "mySessions: [Session!]!"],
    ["Query", "user(id: ID!): User"],
    [
      "Query",
      "users(after: String, before: String, first: Int, last: Int, role: Role, search: String, status: UserStatus): UserConnection!",
    ],
    [
      "Query",
      "sessions(after: String, before: String, filter: SessionFilter, first: Int, last: Int): SessionConnection!",
    ],
    ["Mutation", "signUp(input: SignUpInput!): SignUpResult!"],
    ["Mutation", "login(input: LoginInput!): LoginResult!"],
    ["Mutation", "logout: RevokeSessionResult!"],
    ["Mutation", "revokeSession(id: ID!): RevokeSessionResult!"],
    ["Mutation", "revokeAllSessions(exceptCurrent: Boolean, userId: ID): RevokeAllSessionsResult!"],
    ["Mutation", "changeUserRole(role: Role!, userId: ID!): ChangeUserRoleResult!"],
    ["Mutation", "setUserStatus(status: UserStatus!, userId: ID!): SetUserStatusResult!"],
    ["Mutation", "changePassword(input: ChangePasswordInput!): ChangePasswordResult!"],
    ["Mutation", "reauthenticate(password: String!): ReauthenticateResult!"],
    ["Mutation", "requestPasswordReset(email: String!): Boolean!"],
    ["Mutation", "resetPassword(input: ResetPasswordInput!): ResetPasswordResult!"],
    ["Mutation", "reportSession(token: String!): RevokeSessionResult!"],
    ["Mutation", "revokeSessions(dryRun: Boolean, filter: SessionFilter!): RevokeAllSessionsResult!"],
    ["Mutation", "startSession(input: StartSessionInput!): StartSessionResult!"],
    ["Mutation", "issueAccessToken: AccessToken!"],
    ["Subscription", "sessionEvents(after: ID, userId: ID): SessionEvent!"],
    ["Subscription", "sessionRevoked(scope: RevocationScope): SessionRevocation!"],
    ["UserConnection", "totalCount: Int!"],
    ["SessionConnection", "totalCount: Int!"],
  ])("has on %s the contract's %s", (type, signature) => {
    expect(signatures(type)).toContain(signature);
  });

  test("answers every mutation with a union whose failures are Errors, but those that cannot fail or tell nothing", () => {
    for (const field of Object.values(schema.getMutationType()?.getFields() ?? {})) {
      if (/^(requestPasswordReset|issueAccessToken)$/.test(field.name)) continue;
      const result = getNamedType(field.type);
      if (!isUnionType(result)) throw new Error(`${field.name} is no union`);
      for (const member of result.getTypes()) {
        const isFailure = member.getInterfaces().some((type) => type.name === "Error");
        expect(isFailure, member.name).toBe(member.name.endsWith("Error"));
      }
    }
  });
});
