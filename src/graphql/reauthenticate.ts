import { type Renewed, reauthenticate, recentUntil } from "../sessions/reauthenticate.ts";
import { builder } from "./builder.ts";
import { proverOf } from "./context.ts";
import { unauthenticated } from "./errors.ts";
import {
  InvalidCredentials,
  InvalidCredentialsError,
  TooManyAttempts,
  TooManyAttemptsError,
  withHashing,
} from "./results.ts";
import { requireWayForCookie, setSessionCookie } from "./token-delivery.ts";

class ReauthenticateSuccess {
  readonly validUntil: Date;
  readonly token: string | undefined;
  constructor({ session }: Renewed, token: string | undefined) {
    this.validUntil = new Date(recentUntil(session));
    this.token = token;
  }
}

const ReauthenticateSuccessObject = builder.objectType(ReauthenticateSuccess, {
  name: "ReauthenticateSuccess",
  description: "The session was authenticated just now, and has a new token; it goes on otherwise.",
  isTypeOf: (value) => value instanceof ReauthenticateSuccess,
  fields: (t) => ({
    validUntil: t.expose("validUntil", {
      type: "DateTime",
      description: "For how long that allows sensitive actions: 15 minutes.",
    }),
    token: t.string({
      nullable: true,
      description: "The new token, for a session that came by bearer token; otherwise it is in the cookie.",
      resolve: ({ token }) => token ?? null,
    }),
  }),
});

const ReauthenticateResult = builder.unionType("ReauthenticateResult", {
  description: "The session, authenticated anew, or why not.",
  types: [ReauthenticateSuccessObject, InvalidCredentials, TooManyAttempts],
});

builder.mutationFields((t) => ({
  reauthenticate: t.field({
    type: ReauthenticateResult,
    description:
      "Proves the viewer's password again, as changing users, bulk revocation and ending others of one's own sessions need. " +
      "The session gets a new token and the old one is dead; sockets and running requests go on.",
    args: { password: t.arg.string({ required: true, description: "The viewer's password." }) },
    resolve: async (_root, { password }, context) => {
      const prover = proverOf(context);
      requireWayForCookie(context);
      return withHashing(async () => {
        const outcome = await reauthenticate(context, prover, password);
        switch (outcome.kind) {
          case "sessionGone":
            throw unauthenticated();
          case "invalidCredentials":
            return new InvalidCredentialsError();
          case "throttled":
            return new TooManyAttemptsError(outcome);
          case "renewed": {
            const { session, token } = outcome;
            if (context.presentedBy !== "cookie") return new ReauthenticateSuccess(outcome, token);
            if (token) setSessionCookie(context, session, token);
            return new ReauthenticateSuccess(outcome, undefined);
          }
        }
      });
    },
  }),
}));
