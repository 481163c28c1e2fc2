import { context, type Span, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import { type ExecutionArgs, getOperationAST } from "graphql";
import type { Plugin } from "graphql-yoga";

const tracer = trace.getTracer("live-logout");

/**
 * A span for each operation, by OpenTelemetry's conventions for GraphQL; the database's become its children. It does nothing, and
 * costs next to nothing, unless the operator loads an SDK: docs/operations.md. Variables and documents are no part of it.
 */
export function traceOperations(): Plugin {
  return {
    onExecute({ args, executeFn, setExecuteFn }) {
      const span = startSpan(args);
      setExecuteFn((given) => context.with(trace.setSpan(context.active(), span), () => executeFn(given)));
      return { onExecuteDone: ({ result }) => endSpan(span, result) };
    },
    onSubscribe({ args, subscribeFn, setSubscribeFn }) {
      const span = startSpan(args);
      setSubscribeFn((given) =>
        context.with(trace.setSpan(context.active(), span), () => subscribeFn(given)),
      );
      // The span is that of subscribing: a subscription lives for hours.
      return { onSubscribeResult: ({ result }) => endSpan(span, result) };
    },
  };
}

/** The same span for a subscription that does not go through the plugins. */
export async function traceSubscribing<T>(
  args: Pick<ExecutionArgs, "document">,
  subscribe: () => Promise<T>,
): Promise<T> {
  const span = startSpan(args);
  const result = await context.with(trace.setSpan(context.active(), span), subscribe);
  endSpan(span, result);
  return result;
}

function startSpan({ document, operationName }: Pick<ExecutionArgs, "document" | "operationName">): Span {
  const operation = getOperationAST(document, operationName);
  const type = operation?.operation ?? "query";
  const name = operation?.name?.value;
  return tracer.startSpan(name ? `${type} ${name}` : type, {
    kind: SpanKind.INTERNAL,
    attributes: { "graphql.operation.type": type, ...(name ? { "graphql.operation.name": name } : {}) },
  });
}

function endSpan(span: Span, result: unknown): void {
  const errors = (result as { errors?: readonly { extensions?: { code?: unknown } }[] } | undefined)?.errors;
  if (errors) {
    const code = errors[0]?.extensions?.code;
    span.setStatus({ code: SpanStatusCode.ERROR });
    if (typeof code === "string") span.setAttribute("error.type", code);
  }
  span.end();
}
