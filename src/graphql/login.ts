import type { Session, User } from "../database/generated/client.ts";
import { logIn, type StartedSession, startSession } from "../sessions/login.ts";
import { logOut } from "../sessions/revoke.ts";
import { HashingOverloadError } from "../users/password.ts";
import { signUp } from "../users/sign-up.ts";
import { builder } from "./builder.ts";
import { type Context, revokerOf } from "./context.ts";
import {
  EmailTaken,
  EmailTakenError,
  InvalidCredentials,
  InvalidCredentialsError,
  TooManyAttempts,
  TooManyAttemptsError,
  Validation,
  ValidationError,
} from "./results.ts";
import { SessionObject } from "./session.ts";
import { UserObject } from "./user.ts";

class LoginSuccess {
  readonly session: Session;
  readonly user: User;
  readonly token: string | undefined;
  constructor(started: StartedSession, token: string | undefined) {
    this.session = started.session;
    this.user = started.user;
    this.token = token;
  }
}

const LoginSuccessObject = builder.objectType(LoginSuccess, {
  name: "LoginSuccess",
  description: "A session has begun.",
  isTypeOf: (value) => value instanceof LoginSuccess,
  fields: (t) => ({
    session: t.field({
      type: SessionObject,
      description: "The new session.",
      resolve: (success) => success.session,
    }),
    user: t.field({ type: UserObject, description: "Whose it is.", resolve: (success) => success.user }),
    token: t.string({
      nullable: true,
      description:
        "Its token, if `returnToken` asked for it; otherwise it is in a cookie that no script can read.",
      resolve: (success) => success.token ?? null,
    }),
  }),
});

const LoginResult = builder.unionType("LoginResult", {
  description: "A new session, or why there is none.",
  types: [LoginSuccessObject, InvalidCredentials, TooManyAttempts, Validation],
});

const SignUpResult = builder.unionType("SignUpResult", {
  description: "A new user with a session, or why there is none.",
  types: [LoginSuccessObject, EmailTaken, Validation, TooManyAttempts],
});

const RETURN_TOKEN =
  "Whether the answer holds the token, and no cookie is set. For clients that are not browsers; refused to those.";

const LoginInput = builder.inputType("LoginInput", {
  description: "How somebody logs in.",
  fields: (t) => ({
    email: t.string({ required: true, description: "In any case." }),
    password: t.string({ required: true, description: "At most 256 characters." }),
    remember: t.boolean({
      description: "Whether the session lives longer, and the browser keeps it when it is closed.",
    }),
    returnToken: t.boolean({ description: RETURN_TOKEN }),
  }),
});

const SignUpInput = builder.inputType("SignUpInput", {
  description: "How somebody signs up.",
  fields: (t) => ({
    email: t.string({ required: true, description: "An email that nobody signed up with yet." }),
    name: t.string({ required: true, description: "At most 100 characters." }),
    password: t.string({ required: true, description: "8 to 256 characters of any kind." }),
    passwordConfirmation: t.string({ required: true, description: "The same once more." }),
    returnToken: t.boolean({ description: RETURN_TOKEN }),
  }),
});

builder.mutationFields((t) => ({
  login: t.field({
    type: LoginResult,
    description:
      "Begins a session with an email and a password. A session that the browser had before is ended.",
    args: { input: t.arg({ type: LoginInput, required: true, description: "Who, and how." }) },
    resolve: async (_root, { input }, context) => {
      const refusal = refuseDelivery(input.returnToken, context);
      if (refusal) return refusal;
      return withHashing(async () => {
        const outcome = await logIn(context, input, { ...context.origin, remember: input.remember });
        switch (outcome.kind) {
          case "invalid":
            return new ValidationError(outcome);
          case "invalidCredentials":
            return new InvalidCredentialsError();
          case "started":
            return deliver(context, outcome, input);
        }
      });
    },
  }),
  signUp: t.field({
    type: SignUpResult,
    description: "Creates a user of the role USER and begins a session.",
    args: { input: t.arg({ type: SignUpInput, required: true, description: "Who, and how." }) },
    resolve: async (_root, { input }, context) => {
      const refusal = refuseDelivery(input.returnToken, context);
      if (refusal) return refusal;
      return withHashing(async () => {
        const outcome = await signUp(context, input);
        switch (outcome.kind) {
          case "invalid":
            return new ValidationError(outcome);
          case "emailTaken":
            return new EmailTakenError();
          case "signedUp": {
            const started = await startSession(context, outcome.user, context.origin);
            if (!started) throw new Error("the new user's credentials changed before the first session");
            return deliver(context, started, input);
          }
        }
      });
    },
  }),
}));

/** A browser's token goes into the cookie only, out of scripts' reach (OWASP ASVS 5.0, 3.3.4). */
function refuseDelivery(
  returnToken: boolean | null | undefined,
  context: Context,
): ValidationError | undefined {
  const path = "input.returnToken";
  if (returnToken && context.isBrowser) {
    const message = "A browser gets its session as a cookie: leave returnToken out.";
    return new ValidationError({ issues: [{ path, message }] });
  }
  if (!returnToken && !context.cookies) {
    const message = "A WebSocket cannot set a cookie: log in over HTTP, or ask with returnToken: true.";
    return new ValidationError({ issues: [{ path, message }] });
  }
  return undefined;
}

/** Hands the token to the client, by cookie or in the answer. */
async function deliver(
  context: Context,
  started: StartedSession,
  input: {
    readonly returnToken?: boolean | null | undefined;
    readonly remember?: boolean | null | undefined;
  },
): Promise<LoginSuccess> {
  if (input.returnToken) return new LoginSuccess(started, started.token);
  const { cookies } = context;
  if (cookies?.isPresented && context.credentials.kind === "live" && !context.credentials.lease.ended) {
    // The new cookie replaces the old one, so nobody could log out of that session any more.
    context.outlivesLease = true;
    await logOut(context, revokerOf(context));
  }
  const maxAgeSeconds = (started.session.expiresAt.getTime() - context.now()) / 1_000;
  cookies?.set(started.token, input.remember ? maxAgeSeconds : undefined);
  return new LoginSuccess(started, undefined);
}

async function withHashing<T>(work: () => Promise<T>): Promise<T | TooManyAttemptsError> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof HashingOverloadError) return new TooManyAttemptsError(error);
    throw error;
  }
}
