import type { User } from "../database/generated/client.ts";
import { changePassword } from "../sessions/change-password.ts";
import { requestPasswordReset, resetPassword } from "../users/password-reset.ts";
import { builder } from "./builder.ts";
import { proverOf } from "./context.ts";
import { unauthenticated } from "./errors.ts";
import {
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
import {
  RETURN_TOKEN,
  refuseToReturnToken,
  requireWayForCookie,
  setSessionCookie,
} from "./token-delivery.ts";
import { UserObject } from "./user.ts";

interface NewPassword {
  readonly user: User;
  readonly revokedCount: number;
}

class ChangePasswordSuccess {
  readonly user: User;
  readonly revokedCount: number;
  readonly token: string | undefined;
  constructor({ user, revokedCount }: NewPassword, token: string | undefined) {
    this.user = user;
    this.revokedCount = revokedCount;
    this.token = token;
  }
}

class ResetPasswordSuccess {
  readonly user: User;
  readonly revokedCount: number;
  constructor({ user, revokedCount }: NewPassword) {
    this.user = user;
    this.revokedCount = revokedCount;
  }
}

const ChangePasswordSuccessObject = builder.objectType(ChangePasswordSuccess, {
  name: "ChangePasswordSuccess",
  description: "The password is changed; the session that asked lives on.",
  isTypeOf: (value) => value instanceof ChangePasswordSuccess,
  fields: (t) => ({
    user: t.field({ type: UserObject, description: "Whose it is.", resolve: (success) => success.user }),
    revokedCount: t.exposeInt("revokedCount", { description: "How many other sessions ended." }),
    token: t.string({
      nullable: true,
      description: "The session's new token, if `returnToken` asked for it; the old one is dead.",
      resolve: (success) => success.token ?? null,
    }),
  }),
});

const ChangePasswordResult = builder.unionType("ChangePasswordResult", {
  description: "The user with the new password, or why not.",
  types: [ChangePasswordSuccessObject, InvalidCredentials, TooManyAttempts, Validation],
});

const ResetPasswordSuccessObject = builder.objectType(ResetPasswordSuccess, {
  name: "ResetPasswordSuccess",
  description: "The password is changed and all sessions have ended. Log in with it.",
  isTypeOf: (value) => value instanceof ResetPasswordSuccess,
  fields: (t) => ({
    user: t.field({ type: UserObject, description: "Whose it is.", resolve: (success) => success.user }),
    revokedCount: t.exposeInt("revokedCount", { description: "How many sessions ended." }),
  }),
});

const ResetPasswordResult = builder.unionType("ResetPasswordResult", {
  description: "The user with the new password, or why not.",
  types: [ResetPasswordSuccessObject, InvalidToken, TooManyAttempts, Validation],
});

const ChangePasswordInput = builder.inputType("ChangePasswordInput", {
  description: "How somebody changes their password.",
  fields: (t) => ({
    currentPassword: t.string({ required: true, description: "What it was until now." }),
    newPassword: t.string({
      required: true,
      description: "8 to 256 characters of any kind, and none of the most used passwords.",
    }),
    resetSessions: t.boolean({
      defaultValue: true,
      description: "Whether all other sessions of the user end, with PASSWORD_CHANGED.",
    }),
    returnToken: t.boolean({ description: RETURN_TOKEN }),
  }),
});

const ResetPasswordInput = builder.inputType("ResetPasswordInput", {
  description: "How somebody chooses a new password who forgot theirs.",
  fields: (t) => ({
    token: t.string({ required: true, description: "What stands in the mail's link." }),
    newPassword: t.string({
      required: true,
      description: "8 to 256 characters of any kind, and none of the most used passwords.",
    }),
  }),
});

builder.mutationFields((t) => ({
  changePassword: t.field({
    type: ChangePasswordResult,
    description:
      "Changes the viewer's password and ends their other sessions. The session that asks lives on with its socket; a cookie " +
      "is replaced, a bearer token where `returnToken` asks for it.",
    args: {
      input: t.arg({ type: ChangePasswordInput, required: true, description: "The two passwords." }),
    },
    resolve: async (_root, { input }, context) => {
      const prover = proverOf(context);
      requireWayForCookie(context);
      const refusal = refuseToReturnToken(input.returnToken, context);
      if (refusal) return refusal;
      const hasCookie = context.presentedBy === "cookie";
      const change = {
        currentPassword: input.currentPassword,
        newPassword: input.newPassword,
        resetsSessions: input.resetSessions ?? true,
        rotatesToken: hasCookie || input.returnToken === true,
      };
      return withHashing(async () => {
        const outcome = await changePassword(context, prover, change);
        switch (outcome.kind) {
          case "invalid":
            return new ValidationError(outcome);
          case "sessionGone":
            throw unauthenticated();
          case "invalidCredentials":
            return new InvalidCredentialsError();
          case "throttled":
            return new TooManyAttemptsError(outcome);
          case "changed": {
            const { session, token } = outcome.renewed;
            if (hasCookie && token) setSessionCookie(context, session, token);
            return new ChangePasswordSuccess(outcome, input.returnToken ? token : undefined);
          }
        }
      });
    },
  }),
  requestPasswordReset: t.field({
    type: "Boolean",
    description:
      "Mails a link to choose a new password, if an active user has this email. Always true, and always after the same work.",
    args: { email: t.arg.string({ required: true, description: "In any case." }) },
    resolve: async (_root, { email }, context) => {
      await requestPasswordReset(context, email, context.origin.ipAddress);
      return true;
    },
  }),
  resetPassword: t.field({
    type: ResetPasswordResult,
    description:
      "Sets a new password by a mailed link, which is good once and for 30 minutes, and ends all of the user's sessions with " +
      "PASSWORD_RESET.",
    args: {
      input: t.arg({ type: ResetPasswordInput, required: true, description: "The link and the password." }),
    },
    resolve: async (_root, { input }, context) => {
      // Whoever is logged in to the very account loses this session too, and is still answered.
      context.outlivesLease = true;
      return withHashing(async () => {
        const outcome = await resetPassword(context, input, context.origin.ipAddress);
        switch (outcome.kind) {
          case "invalid":
            return new ValidationError(outcome);
          case "invalidToken":
            return new InvalidTokenError();
          case "reset":
            return new ResetPasswordSuccess(outcome);
        }
      });
    },
  }),
}));
