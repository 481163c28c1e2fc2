import { validate as isUuid } from "uuid";
import { endByAdministrator } from "../sessions/revoke.ts";
import {
  createServiceAccount,
  findServiceAccount,
  listServiceAccounts,
  type Scope,
  type ServiceAccount,
} from "../sessions/service-accounts.ts";
import { builder } from "./builder.ts";
import { type Context, requireCapability, requireRecentAuthentication } from "./context.ts";
import { NotFound, NotFoundError, Validation, ValidationError } from "./results.ts";

const ScopeEnum = builder.enumType("Scope", {
  description: "What a service account may do.",
  values: {
    EVENTS_READ: { value: "events:read", description: "Read everybody's session events: `events:read`." },
    SESSIONS_START: {
      value: "sessions:start",
      description: "Begin sessions for users that it has authenticated itself: `sessions:start`.",
    },
    SESSIONS_REVOKE: { value: "sessions:revoke", description: "End anybody's sessions: `sessions:revoke`." },
  } satisfies Record<string, { value: Scope; description: string }>,
});

const ServiceAccountObject = builder.objectRef<ServiceAccount>("ServiceAccount").implement({
  description: "Another back end's way in: a token with scopes, revoked live like any session.",
  fields: (t) => ({
    id: t.id({
      description: "A UUID. As an actor in the log it is a user's.",
      resolve: ({ user }) => user.id,
    }),
    name: t.string({ description: "What it is called in the log.", resolve: ({ user }) => user.name }),
    scopes: t.field({
      type: [ScopeEnum],
      description: "What it may do.",
      resolve: ({ session }) => session.scopes as Scope[],
    }),
    createdAt: t.field({
      type: "DateTime",
      description: "When it was made.",
      resolve: ({ session }) => session.createdAt,
    }),
    expiresAt: t.field({
      type: "DateTime",
      description: "When its token ends.",
      resolve: ({ session }) => session.expiresAt,
    }),
    lastSeenAt: t.field({
      type: "DateTime",
      description: "When it was last used, to the minute.",
      resolve: ({ session }) => session.lastSeenAt,
    }),
    revokedAt: t.field({
      type: "DateTime",
      nullable: true,
      description: "When it was revoked. Null: it was not.",
      resolve: ({ session }) => session.revokedAt,
    }),
  }),
});

class CreateServiceAccountSuccess {
  readonly serviceAccount: ServiceAccount;
  readonly token: string;
  constructor(serviceAccount: ServiceAccount, token: string) {
    this.serviceAccount = serviceAccount;
    this.token = token;
  }
}

const CreateServiceAccountSuccessObject = builder.objectType(CreateServiceAccountSuccess, {
  name: "CreateServiceAccountSuccess",
  description: "The service account is made.",
  isTypeOf: (value) => value instanceof CreateServiceAccountSuccess,
  fields: (t) => ({
    serviceAccount: t.field({
      type: ServiceAccountObject,
      description: "What was made.",
      resolve: (success) => success.serviceAccount,
    }),
    token: t.exposeString("token", {
      description: "Its token, shown this once: only a hash of it is stored. For `Authorization: Bearer`.",
    }),
  }),
});

const CreateServiceAccountResult = builder.unionType("CreateServiceAccountResult", {
  description: "The service account with its token, or why there is none.",
  types: [CreateServiceAccountSuccessObject, Validation],
});

class RevokeServiceAccountSuccess {
  readonly serviceAccount: ServiceAccount;
  constructor(serviceAccount: ServiceAccount) {
    this.serviceAccount = serviceAccount;
  }
}

const RevokeServiceAccountSuccessObject = builder.objectType(RevokeServiceAccountSuccess, {
  name: "RevokeServiceAccountSuccess",
  description: "The token is revoked: on the node that answers now, on the others within milliseconds.",
  isTypeOf: (value) => value instanceof RevokeServiceAccountSuccess,
  fields: (t) => ({
    serviceAccount: t.field({
      type: ServiceAccountObject,
      description: "What was revoked.",
      resolve: (success) => success.serviceAccount,
    }),
  }),
});

const RevokeServiceAccountResult = builder.unionType("RevokeServiceAccountResult", {
  description: "The service account, revoked, or why not.",
  types: [RevokeServiceAccountSuccessObject, NotFound],
});

const CreateServiceAccountInput = builder.inputType("CreateServiceAccountInput", {
  description: "A service account to be made.",
  fields: (t) => ({
    name: t.string({ required: true, description: "What it is called in the log. At most 100 characters." }),
    scopes: t.field({ type: [ScopeEnum], required: true, description: "What it may do, at least one." }),
    expiresAt: t.field({
      type: "DateTime",
      required: true,
      description: "When its token ends, within a year.",
    }),
  }),
});

builder.queryField("serviceAccounts", (t) =>
  t.field({
    type: [ServiceAccountObject],
    description: "The service accounts whose tokens are good, the newest first. For ADMIN.",
    resolve: async (_root, _args, context) => {
      requireCapability(context, "administerServices");
      return [...(await listServiceAccounts(context))];
    },
  }),
);

builder.mutationFields((t) => ({
  createServiceAccount: t.field({
    type: CreateServiceAccountResult,
    description: "Makes a service account and its token. For ADMIN, recently authenticated.",
    args: {
      input: t.arg({ type: CreateServiceAccountInput, required: true, description: "What it may do." }),
    },
    resolve: async (_root, { input }, context) => {
      const actor = administrator(context);
      const outcome = await createServiceAccount(context, actor, input);
      if (outcome.kind === "invalid") return new ValidationError(outcome);
      await context.catchUp();
      return new CreateServiceAccountSuccess(outcome.account, outcome.token);
    },
  }),
  revokeServiceAccount: t.field({
    type: RevokeServiceAccountResult,
    description: "Ends a service account's token, and what it has open. For ADMIN, recently authenticated.",
    args: { id: t.arg.id({ required: true, description: "The service account's id." }) },
    resolve: async (_root, { id }, context) => {
      const actor = administrator(context);
      const account = isUuid(id) ? await findServiceAccount(context, id) : undefined;
      if (!account) return new NotFoundError("service account");
      const session = await endByAdministrator(context, actor, account.session.id);
      return new RevokeServiceAccountSuccess({ ...account, session: session ?? account.session });
    },
  }),
}));

function administrator(context: Context) {
  const { user } = requireCapability(context, "administerServices");
  requireRecentAuthentication(context);
  return { userId: user.id, ipAddress: context.origin.ipAddress };
}
