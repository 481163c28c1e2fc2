import { context, trace } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { InMemorySpanExporter, SimpleSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { ViewerDocument } from "../../src/client/generated/graphql.ts";
import { signUp, type TestUser } from "../kit/client.ts";
import { startTestNode, type TestNode } from "../kit/node.ts";
import { subscribeByWebSocket } from "../kit/subscriber.ts";

/** As `node --import` of an SDK does it for the whole process. */
describe("with an OpenTelemetry SDK", () => {
  const exporter = new InMemorySpanExporter();
  let node: TestNode;
  let user: TestUser;
  beforeAll(async () => {
    context.setGlobalContextManager(new AsyncLocalStorageContextManager());
    trace.setGlobalTracerProvider(
      new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] }),
    );
    node = await startTestNode("postgres", {
      onQuery: () => trace.getTracer("database").startSpan("statement").end(),
    });
    user = await signUp(node.url);
  });
  beforeEach(() => exporter.reset());
  afterAll(async () => {
    await node.stop();
    trace.disable();
    context.disable();
  });

  test("each operation has a span by its name, and what it asks the database is within", async () => {
    await user.run("query Mine { mySessions { id } }");
    const spans = exporter.getFinishedSpans();
    const operation = spans.find(({ name }) => name === "query Mine");
    expect(operation?.attributes).toEqual({
      "graphql.operation.type": "query",
      "graphql.operation.name": "Mine",
    });
    const statements = spans.filter(({ name }) => name === "statement");
    expect(
      statements.some(
        ({ parentSpanContext }) => parentSpanContext?.spanId === operation?.spanContext().spanId,
      ),
    ).toBe(true);
  });

  test("an operation that fails says by which code, and none tells a variable or a token", async () => {
    await user.run("query Others { users { totalCount } }");
    const [span] = exporter.getFinishedSpans().filter(({ name }) => name === "query Others");
    expect(span?.attributes).toMatchObject({ "error.type": "FORBIDDEN" });
    const told = JSON.stringify(
      exporter.getFinishedSpans().map(({ name, attributes, events }) => [name, attributes, events]),
    );
    expect(told).not.toContain(user.token);
  });

  test("a subscription's span is over when it has begun", async () => {
    const subscriber = await subscribeByWebSocket(node.url, user.token);
    expect(exporter.getFinishedSpans().map(({ name }) => name)).toContain("subscription SessionRevoked");
    subscriber.stop();
    await user.run(ViewerDocument);
  });
});
