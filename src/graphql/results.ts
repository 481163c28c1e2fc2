import { HashingOverloadError } from "../users/password.ts";
import type { Invalid, ValidationIssue } from "../users/validation.ts";
import { builder } from "./builder.ts";

/** Expected failures are data: members of the result unions, made of these. */
abstract class Failure {
  readonly message: string;
  constructor(message: string) {
    this.message = message;
  }
}

export class InvalidCredentialsError extends Failure {
  constructor() {
    super("The email or the password is wrong.");
  }
}

export class TooManyAttemptsError extends Failure {
  readonly retryAfterSeconds: number;
  constructor({ retryAfterSeconds }: { readonly retryAfterSeconds: number }) {
    super(`Too many attempts. Try again in ${retryAfterSeconds} s.`);
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

export class ValidationError extends Failure {
  readonly issues: readonly ValidationIssue[];
  constructor({ issues }: Pick<Invalid, "issues">) {
    super(issues.map((issue) => issue.message).join(" "));
    this.issues = issues;
  }
}

export class NotFoundError extends Failure {
  constructor(what: "session" | "user" | "service account" | "receiver") {
    super(`There is no such ${what}, or you may not know of it.`);
  }
}

export class EmailTakenError extends Failure {
  constructor() {
    super("Somebody has signed up with this email already. Log in instead.");
  }
}

export class InvalidTokenError extends Failure {
  constructor() {
    super(
      "This link is not good any more: it was used, replaced by a newer one, or too old. Ask for another.",
    );
  }
}

/** Runs what hashes a password; too much of that at once is an answer too. */
export async function withHashing<T>(work: () => Promise<T>): Promise<T | TooManyAttemptsError> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof HashingOverloadError) return new TooManyAttemptsError(error);
    throw error;
  }
}

const ErrorInterface = builder.interfaceRef<Failure>("Error").implement({
  description: "An expected failure.",
  fields: (t) => ({
    message: t.exposeString("message", { description: "For people: what went wrong and what to do." }),
  }),
});

export const InvalidCredentials = builder.objectType(InvalidCredentialsError, {
  name: "InvalidCredentialsError",
  description: "No active user has this email and this password. Which of the two is wrong is not said.",
  interfaces: [ErrorInterface],
  isTypeOf: (value) => value instanceof InvalidCredentialsError,
});

export const TooManyAttempts = builder.objectType(TooManyAttemptsError, {
  name: "TooManyAttemptsError",
  description: "There were too many attempts; this one was not looked at.",
  interfaces: [ErrorInterface],
  isTypeOf: (value) => value instanceof TooManyAttemptsError,
  fields: (t) => ({
    retryAfterSeconds: t.exposeInt("retryAfterSeconds", { description: "When to try again." }),
  }),
});

const ValidationIssueObject = builder.objectRef<ValidationIssue>("ValidationIssue").implement({
  description: "One thing that is wrong with an argument.",
  fields: (t) => ({
    path: t.exposeString("path", { description: "Which argument or field: `input.email`." }),
    message: t.exposeString("message", { description: "For people: what is wrong with it." }),
  }),
});

export const Validation = builder.objectType(ValidationError, {
  name: "ValidationError",
  description: "Arguments that cannot be accepted; nothing was changed.",
  interfaces: [ErrorInterface],
  isTypeOf: (value) => value instanceof ValidationError,
  fields: (t) => ({
    issues: t.field({
      type: [ValidationIssueObject],
      description: "Everything that is wrong, at least one.",
      resolve: (error) => [...error.issues],
    }),
  }),
});

export const NotFound = builder.objectType(NotFoundError, {
  name: "NotFoundError",
  description: "There is nothing of this id, or it is not the viewer's to know of.",
  interfaces: [ErrorInterface],
  isTypeOf: (value) => value instanceof NotFoundError,
});

export const EmailTaken = builder.objectType(EmailTakenError, {
  name: "EmailTakenError",
  description: "Another user has this email.",
  interfaces: [ErrorInterface],
  isTypeOf: (value) => value instanceof EmailTakenError,
});

export const InvalidToken = builder.objectType(InvalidTokenError, {
  name: "InvalidTokenError",
  description: "The secret of a mail's link is none, or not good any more.",
  interfaces: [ErrorInterface],
  isTypeOf: (value) => value instanceof InvalidTokenError,
});
