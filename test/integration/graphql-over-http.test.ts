import { serverAudits } from "graphql-http";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startTestNode, type TestNode } from "../kit/node.ts";

/** The audits of the reference implementation, for the specification "GraphQL over HTTP". */
const AUDITS = serverAudits({ url: "http://service.invalid/graphql" }).map(
  ({ id, name }) => [id, name] as const,
);

describe("GraphQL over HTTP, by the specification's own audits", () => {
  let node: TestNode;
  let audits: ReadonlyMap<string, ReturnType<typeof serverAudits>[number]>;
  beforeAll(async () => {
    node = await startTestNode("postgres");
    audits = new Map(serverAudits({ url: `${node.url}/graphql` }).map((audit) => [audit.id, audit]));
  });
  afterAll(() => node.stop());

  test.each(AUDITS)("%s: %s", async (id) => {
    const result = await audits.get(id)?.fn();
    expect(result).toMatchObject({ status: "ok" });
  });
});
