import { serverAudits } from "graphql-http";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startTestNode, type TestNode } from "../kit/node.ts";
import { type RawAnswer, send } from "../kit/raw-http.ts";

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

/** Yoga answers each of these in the same way with and without the weight, which sends it the long way. */
const ACCEPTED = [
  ["application/json", "application/json;q=1"],
  ["application/graphql-response+json", "application/graphql-response+json;q=1"],
  [
    "application/graphql-response+json, application/json",
    "application/graphql-response+json;q=1, application/json",
  ],
  ["*/*", "*/*;q=1"],
] as const;

const BODIES: Readonly<Record<string, string>> = {
  "what can be answered": JSON.stringify({ query: "{ __typename }" }),
  "the operation that is named": JSON.stringify({
    query: "query A { a: __typename } query B { b: __typename }",
    operationName: "B",
  }),
  "a field that fails": JSON.stringify({ query: "{ mySessions { id } }" }),
  "a part that fails": JSON.stringify({ query: "{ __typename mySessions { id } }" }),
  "a mutation": JSON.stringify({
    query: 'mutation { login(input: { email: "nobody@example.com", password: "wrong" }) { __typename } }',
  }),
  "no GraphQL": JSON.stringify({ query: "{" }),
  "a field that there is not": JSON.stringify({ query: "{ nothing }" }),
  "a wrong variable": JSON.stringify({
    query: "mutation ($input: LoginInput!) { login(input: $input) { __typename } }",
    variables: { input: { email: 1 } },
  }),
  "variables that are none": JSON.stringify({ query: "{ __typename }", variables: "?" }),
  "an operation that there is not": JSON.stringify({ query: "{ __typename }", operationName: "A" }),
  "a parameter that there is not": JSON.stringify({ query: "{ __typename }", more: 1 }),
  "a document that is too long": JSON.stringify({ query: `{ ${"a ".repeat(30_000)} }` }),
  "a document that is too deep": JSON.stringify({ query: "{a".repeat(20) + "}".repeat(20) }),
  "a subscription": JSON.stringify({ query: "subscription { sessionRevoked { reason } }" }),
  "no document": JSON.stringify({ variables: {} }),
  "two at once": JSON.stringify([{ query: "{ __typename }" }, { query: "{ __typename }" }]),
  nothing: "null",
  "no JSON": "{",
  "too much": `"${"a".repeat(1_000_001)}"`,
};

describe("a POST that is answered without Yoga's requests and responses", () => {
  let node: TestNode;
  beforeAll(async () => {
    node = await startTestNode("postgres");
  });
  afterAll(() => node.stop());

  describe.each(ACCEPTED)("accepting %s", (plain, weighted) => {
    test.each(Object.entries(BODIES))("is answered as by Yoga alone: %s", async (_, body) => {
      const [ours, theirs] = await Promise.all([ask(plain, body), ask(weighted, body)]);
      expect(ours).toEqual(theirs);
    });
  });

  async function ask(accept: string, body: string): Promise<RawAnswer> {
    const { headers, ...answer } = await send(node.url, {
      headers: { "content-type": "application/json", accept },
      body,
    });
    const { date, "x-request-id": _id, ...rest } = headers;
    return { ...answer, headers: rest };
  }
});
