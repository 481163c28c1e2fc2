import type { Session, User } from "../database/generated/client.ts";
import { type BroughtLogin, startBroughtSession } from "../sessions/brought-login.ts";
import { builder } from "./builder.ts";
import { requireScope } from "./context.ts";
import { NotFound, NotFoundError, Validation, ValidationError } from "./results.ts";
import { SessionObject } from "./session.ts";
import { UserObject } from "./user.ts";

class StartSessionSuccess {
  readonly session: Session;
  readonly user: User;
  readonly token: string;
  constructor({ session, user, token }: Extract<BroughtLogin, { kind: "started" }>) {
    this.session = session;
    this.user = user;
    this.token = token;
  }
}

const StartSessionSuccessObject = builder.objectType(StartSessionSuccess, {
  name: "StartSessionSuccess",
  description: "The session has begun.",
  isTypeOf: (value) => value instanceof StartSessionSuccess,
  fields: (t) => ({
    session: t.field({
      type: SessionObject,
      description: "The new session.",
      resolve: (success) => success.session,
    }),
    user: t.field({ type: UserObject, description: "Whose it is.", resolve: (success) => success.user }),
    token: t.exposeString("token", {
      description: "The session's token, for the client of the user: as its bearer token or its cookie.",
    }),
  }),
});

const StartSessionResult = builder.unionType("StartSessionResult", {
  description: "The session, or why there is none.",
  types: [StartSessionSuccessObject, NotFound, Validation],
});

const StartSessionInput = builder.inputType("StartSessionInput", {
  description:
    "Whose session it is to be, and what is known of their client. Give `userId` or `email`, one of them.",
  fields: (t) => ({
    userId: t.id({ description: "The user's id." }),
    email: t.string({ description: "The user's email, in any case." }),
    name: t.string({ description: "With `createUser`: what a new user is called." }),
    createUser: t.boolean({
      description:
        "Whether a user of this email is made if there is none: of the role USER, without a password.",
    }),
    ipAddress: t.string({ description: "The client's address." }),
    userAgent: t.string({ description: "The client's user agent." }),
    remember: t.boolean({ description: "Whether the session lives longer." }),
  }),
});

builder.mutationField("startSession", (t) =>
  t.field({
    type: StartSessionResult,
    description:
      "Begins a session for a user whom the caller has authenticated in its own way: OAuth, SAML, passkeys, a login page of its " +
      "own. For service accounts with SESSIONS_START.",
    args: { input: t.arg({ type: StartSessionInput, required: true, description: "Whose." }) },
    resolve: async (_root, { input }, context) => {
      const service = requireScope(context, "sessions:start");
      const outcome = await startBroughtSession(context, service.user.id, input);
      switch (outcome.kind) {
        case "notFound":
          return new NotFoundError("user");
        case "invalid":
          return new ValidationError(outcome);
        case "started":
          return new StartSessionSuccess(outcome);
      }
    },
  }),
);
