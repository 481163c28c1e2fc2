import type { Session, User } from "../database/generated/client.ts";
import { logIn, type StartedSession, startSession } from "../sessions/login.ts";
import { logOut } from "../sessions/revoke.ts";
import { confirmSignUp, requestSignUp, signUp } from "../users/sign-up.ts";
import { builder } from "./builder.ts";
import { type Context, revokerOf } from "./context.ts";
import {
  EmailTaken,
  EmailTakenError,
  InvalidCredentials,
  InvalidCredentialsError,
  InvalidToken,
  InvalidTokenError,
  TooManyAttempts,
  TooManyAttemptsError,
  Validation,
  ValidationError,
  withHashing,
} from "./results.ts";
import { SessionObject } from "./session.ts";
import { RETURN_TOKEN, refuseDelivery, setSessionCookie } from "./token-delivery.ts";
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

class SignUpRequested {
  readonly email: string;
  constructor(email: string) {
    this.email = email;
  }
}

const SignUpRequestedObject = builder.objectType(SignUpRequested, {
  name: "SignUpRequested",
  description:
    "A mail is under way: with a link that finishes signing up, or, if the email is taken, saying that. Which of the two is " +
    "not told here. Only where the setting SIGN_UP_DISCLOSES is false.",
  isTypeOf: (value) => value instanceof SignUpRequested,
  fields: (t) => ({
    email: t.exposeString("email", { description: "Where the mail goes." }),
  }),
});

const SignUpResult = builder.unionType("SignUpResult", {
  description: "A new user with a session, or why there is none.",
  types: [LoginSuccessObject, SignUpRequestedObject, EmailTaken, Validation, TooManyAttempts],
});

const ConfirmSignUpResult = builder.unionType("ConfirmSignUpResult", {
  description: "A new user with a session, or why there is none.",
  types: [LoginSuccessObject, InvalidToken, InvalidCredentials, TooManyAttempts, Validation],
});

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
    password: t.string({
      required: true,
      description: "8 to 256 characters of any kind, and none of the most used passwords.",
    }),
    passwordConfirmation: t.string({ required: true, description: "The same once more." }),
    returnToken: t.boolean({ description: RETURN_TOKEN }),
  }),
});

const ConfirmSignUpInput = builder.inputType("ConfirmSignUpInput", {
  description: "How somebody finishes signing up.",
  fields: (t) => ({
    token: t.string({ required: true, description: "What stands in the mail's link." }),
    password: t.string({ required: true, description: "The password that they chose when they signed up." }),
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
        context.onLogin(outcome.kind);
        switch (outcome.kind) {
          case "invalid":
            return new ValidationError(outcome);
          case "invalidCredentials":
            return new InvalidCredentialsError();
          case "throttled":
            return new TooManyAttemptsError(outcome);
          case "started":
            return deliver(context, outcome, input.returnToken);
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
      const throttled = await context.throttle.signUp(context.origin.ipAddress);
      if (throttled) return new TooManyAttemptsError(throttled);
      return withHashing(async () => {
        const outcome = context.policies.signUpDiscloses
          ? await signUp(context, input)
          : await requestSignUp(context, input, context.origin.ipAddress);
        switch (outcome.kind) {
          case "invalid":
            return new ValidationError(outcome);
          case "emailTaken":
            return new EmailTakenError();
          case "requested":
            return new SignUpRequested(outcome.email);
          case "signedUp":
            return beginFirst(context, outcome.user, input.returnToken);
        }
      });
    },
  }),
  confirmSignUp: t.field({
    type: ConfirmSignUpResult,
    description:
      "Finishes a sign-up by the link of its mail, where the setting SIGN_UP_DISCLOSES is false, and begins a session.",
    args: {
      input: t.arg({ type: ConfirmSignUpInput, required: true, description: "The link and the password." }),
    },
    resolve: async (_root, { input }, context) => {
      const refusal = refuseDelivery(input.returnToken, context);
      if (refusal) return refusal;
      const throttled = await context.throttle.signUp(context.origin.ipAddress);
      if (throttled) return new TooManyAttemptsError(throttled);
      return withHashing(async () => {
        const outcome = await confirmSignUp(context, input);
        switch (outcome.kind) {
          case "invalidToken":
            return new InvalidTokenError();
          case "invalidCredentials":
            return new InvalidCredentialsError();
          case "signedUp":
            return beginFirst(context, outcome.user, input.returnToken);
        }
      });
    },
  }),
}));

async function beginFirst(
  context: Context,
  user: User,
  returnToken: boolean | null | undefined,
): Promise<LoginSuccess> {
  const started = await startSession(context, user, { ...context.origin, isFirst: true });
  if (!started) throw new Error("the new user's credentials changed before the first session");
  return deliver(context, started, returnToken);
}

/** Hands the token to the client, by cookie or in the answer. */
async function deliver(
  context: Context,
  started: StartedSession,
  returnToken: boolean | null | undefined,
): Promise<LoginSuccess> {
  if (returnToken) return new LoginSuccess(started, started.token);
  const { credentials, presentedBy } = context;
  if (presentedBy === "cookie" && credentials.kind === "live" && !credentials.lease.ended) {
    // The new cookie replaces the old one, so nobody could log out of that session any more.
    context.outlivesLease = true;
    await logOut(context, revokerOf(context));
  }
  setSessionCookie(context, started.session, started.token);
  return new LoginSuccess(started, undefined);
}
