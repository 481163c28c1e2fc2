import {
  type DocumentNode,
  type ExecutionArgs,
  type ExecutionResult,
  executeSubscriptionEvent,
  type FieldNode,
  validateSubscriptionArgs,
} from "graphql";
import type { SessionEnds } from "../revocation/followers.ts";
import type { SessionEnd } from "../revocation/session-end.ts";
import type { Connection } from "./connection.ts";
import type { Rooms } from "./context.ts";
import { createErrorMask, unauthenticated } from "./errors.ts";
import { refusal } from "./lease-binding.ts";
import { createSocketContext } from "./server.ts";
import { keyToFollow } from "./session-revocation.ts";
import { traceSubscribing } from "./tracing.ts";

/** An operation that only waits; `contextValue` is the connection for which it does. */
export interface WaitingOperation {
  readonly execute: () => never;
  readonly subscribe: (
    args: Pick<ExecutionArgs, "contextValue">,
  ) => Promise<SessionEnds<ExecutionResult> | ExecutionResult>;
}

/**
 * What every open client does: it waits for `sessionRevoked`, mostly for hours, and nothing else. The way of all other
 * operations would keep for each of them a context, what plugins and graphql wrap around the results, and the document's text:
 * more than ten kilobytes. Here a document is prepared once for all connections that send it, and a context is made when
 * there is an end to tell. The answers are the same. Undefined: this document has to go the general way.
 */
export function createWaitingOperations(
  rooms: Rooms,
): (args: Pick<ExecutionArgs, "schema" | "document">) => WaitingOperation | undefined {
  // By the document that the parser's cache gives to all who send the same text.
  const known = new WeakMap<DocumentNode, WaitingOperation | false>();
  return (args) => {
    let operation = known.get(args.document);
    if (operation === undefined) {
      operation = prepare(rooms, args) ?? false;
      known.set(args.document, operation);
    }
    return operation || undefined;
  };
}

function prepare(
  rooms: Rooms,
  args: Pick<ExecutionArgs, "schema" | "document">,
): WaitingOperation | undefined {
  const field = loneField(args.document);
  if (field?.name.value !== "sessionRevoked") return undefined;
  const prepared = validateSubscriptionArgs(args);
  if (!("operation" in prepared)) return undefined;
  const maskError = createErrorMask(rooms.log);
  const scope = field.arguments?.[0]?.value;
  const isOfUser = scope?.kind === "EnumValue" && scope.value === "MINE";

  /** In a mass logout thousands are told the same. */
  const answerByReason = asksForReasonOnly(field) ? new Map<string, ExecutionResult>() : undefined;

  // Called while the log is applied, so it must not throw, whatever happens.
  const answer = (connection: Connection, end: SessionEnd): ExecutionResult => {
    const known = answerByReason?.get(end.reason);
    if (known) return known;
    try {
      const contextValue = createSocketContext(rooms, connection);
      // All that can be asked of an end is ready at once.
      const result = executeSubscriptionEvent({
        ...prepared,
        rootValue: end,
        contextValue,
      }) as ExecutionResult;
      if (!result.errors) answerByReason?.set(end.reason, result);
      return result;
    } catch (error) {
      return { errors: [maskError(error)] };
    }
  };

  return {
    execute() {
      throw new Error("a subscription is not executed");
    },
    subscribe: ({ contextValue }) =>
      traceSubscribing(args, async () => {
        const connection = contextValue as Connection;
        const { lease } = connection;
        if (!lease) return { errors: [unauthenticated()] };
        if (!(await rooms.directory.confirm(lease))) return refusal(lease);
        const key = keyToFollow(lease.current, isOfUser ? "MINE" : "CURRENT");
        return rooms.directory.follow(key, lease.current.session.id, (end) => answer(connection, end));
      }),
  };
}

/** The only field of a document with one subscription, which neither variables nor directives change. */
function loneField({ definitions }: DocumentNode): FieldNode | undefined {
  const [operation, ...others] = definitions;
  if (operation?.kind !== "OperationDefinition" || others.length > 0) return undefined;
  if (operation.operation !== "subscription" || operation.variableDefinitions?.length) return undefined;
  const [field, ...more] = operation.selectionSet.selections;
  if (field?.kind !== "Field" || more.length > 0 || field.directives?.length) return undefined;
  return field;
}

/** Whether what is asked of an end is the same for all that have the same reason. */
function asksForReasonOnly({ selectionSet }: FieldNode): boolean {
  return (selectionSet?.selections ?? []).every(
    (selection) =>
      selection.kind === "Field" &&
      ["reason", "message", "__typename"].includes(selection.name.value) &&
      !selection.directives?.length,
  );
}
