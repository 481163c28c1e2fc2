import { PothosError } from "@pothos/core";
import { type ASTNode, GraphQLError, type GraphQLErrorExtensions } from "graphql";
import type { Logger } from "pino";
import { isMalformed, isUnavailable } from "../database/errors.ts";
import { messageFor } from "../revocation/reasons.ts";
import type { SessionEnd } from "../revocation/session-end.ts";
import { TailBehindError } from "../revocation/tail.ts";
import type { ValidationIssue } from "../users/validation.ts";

/** Nobody is logged in; with `end`, the session that was presented ended, and that is why. */
export function unauthenticated(end?: SessionEnd): GraphQLError {
  if (!end) return failure("Log in first.", { code: "UNAUTHENTICATED" });
  return failure(messageFor(end.reason), {
    code: "UNAUTHENTICATED",
    reason: end.reason,
    revokedAt: end.revokedAt.toISOString(),
  });
}

export function forbidden(): GraphQLError {
  return failure("Your role does not allow this.", { code: "FORBIDDEN" });
}

/** The viewer may do it, but has to prove again that they are at the device. */
export function reauthenticationRequired(): GraphQLError {
  return failure("Confirm your password first: use the mutation reauthenticate, then repeat this.", {
    code: "FORBIDDEN",
    reason: "REAUTHENTICATE",
  });
}

/** The session goes on with another token, which this request was sent too early to know. Nobody is logged out. */
export function tokenRotated(): GraphQLError {
  return failure("Your session got a new token while this request was under way. Send it again.", {
    code: "TOKEN_ROTATED",
  });
}

/** An argument of a field that has no union to answer with a `ValidationError`. */
export function badRequest(issues: readonly ValidationIssue[]): GraphQLError {
  const message = issues.map((issue) => `${issue.path}: ${issue.message}`).join(" ");
  return failure(message, { code: "BAD_REQUEST", issues });
}

/** A document asks for too much at once, and nothing of it was executed. `reason`: "more than 12 levels of fields" */
export function limitExceeded(reason: string, node?: ASTNode): GraphQLError {
  const extensions = { code: "LIMIT_EXCEEDED", http: { status: 400, spec: true } };
  const message = `The operation has ${reason}. Ask for less at a time.`;
  return new GraphQLError(message, { ...(node ? { nodes: node } : {}), extensions });
}

/** A field is not executed because the operation with its variables would take too much work. */
export function tooCostly(most: number): GraphQLError {
  return failure(
    `The operation may come to more than ${most} fields with its pages and lists. Ask for smaller pages.`,
    { code: "LIMIT_EXCEEDED" },
  );
}

/** The log does not have the event any more that a cursor stands for; what came since cannot be told without a gap. */
export function cursorExpired(oldest: bigint | null): GraphQLError {
  return failure(
    "The log does not have this event. Read the present state anew, then subscribe without `after`.",
    { code: "CURSOR_EXPIRED", oldest: oldest === null ? null : String(oldest) },
  );
}

/** The node cannot say whether the session is still valid, or whether a change took effect. */
export function serviceUnavailable(): GraphQLError {
  return failure(
    "The service cannot answer now. Try again in a moment; what you did may have taken effect.",
    {
      code: "SERVICE_UNAVAILABLE",
      http: { status: 503, headers: { "retry-after": "2" } },
    },
  );
}

export function isServiceUnavailable(error: GraphQLError): boolean {
  return error.extensions["code"] === "SERVICE_UNAVAILABLE";
}

function failure(message: string, extensions: GraphQLErrorExtensions): GraphQLError {
  return new GraphQLError(message, { extensions });
}

/**
 * What the client sees of an error: those made for it as they are, a failing database as `SERVICE_UNAVAILABLE`,
 * and of anything else nothing, while the log gets all.
 */
export function createErrorMask(log: Logger): (error: unknown) => GraphQLError {
  return (error) => {
    const located = error instanceof GraphQLError ? error : undefined;
    const cause = located ? rootCause(located) : error;
    if (cause instanceof PothosError || isMalformed(cause)) {
      return locate(
        failure("An argument is malformed. Check the ids and cursors.", { code: "BAD_REQUEST" }),
        located,
      );
    }
    if (cause instanceof GraphQLError) {
      const shown = located ?? cause;
      // graphql's own errors at this point are about variables, and have no code.
      return shown.extensions["code"]
        ? shown
        : locate(failure(withoutValues(shown.message), { ...shown.extensions, code: "BAD_REQUEST" }), shown);
    }
    const shown =
      cause instanceof TailBehindError || isUnavailable(cause)
        ? serviceUnavailable()
        : failure("Unexpected error.", { code: "INTERNAL_SERVER_ERROR" });
    log.error({ err: cause, path: located?.path }, "an operation failed");
    return locate(shown, located);
  };
}

/** What can be said about the type of a variable: names of the schema, and what the client calls a field. */
const EXPECTATION =
  /Expected value of (?:non-null )?type "[\w![\]]+" (?:not to be null|not to include unknown field "\w+"|to include required field "\w+")/;

/**
 * What graphql says of a variable, but for the value, which may hold a password: clients write errors into their logs. As in
 * `Variable "$input" got an invalid value at "input.email".`
 */
function withoutValues(message: string): string {
  const name = /^Variable "\$(\w+)"/.exec(message)?.[1];
  if (!name) return message;
  const place = new RegExp(` at "(${name}[\\w.[\\]]*)"`).exec(message)?.[1];
  const expectation = EXPECTATION.exec(message)?.[0];
  return `Variable "$${name}" got an invalid value${place ? ` at "${place}"` : ""}.${expectation ? ` ${expectation}.` : ""}`;
}

/** The error at the place of the operation where it happened. */
function locate({ message, extensions }: GraphQLError, located: GraphQLError | undefined): GraphQLError {
  return new GraphQLError(message, {
    extensions,
    ...(located?.nodes ? { nodes: located.nodes } : {}),
    ...(located?.path ? { path: located.path } : {}),
  });
}

/** Executors wrap what a resolver threw into an error that knows the path, sometimes more than once. */
function rootCause(error: GraphQLError): unknown {
  const { originalError } = error;
  if (!originalError) return error;
  return originalError instanceof GraphQLError ? rootCause(originalError) : originalError;
}
