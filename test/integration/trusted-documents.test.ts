import { createHash } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { formatDocument, stringifyDocument } from "@urql/core";
import { parse } from "graphql";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import {
  LoginDocument,
  SessionEventsDocument,
  UsersDocument,
  ViewerDocument,
} from "../../src/client/generated/graphql.ts";
import { readTrustedDocuments } from "../../src/graphql/trusted-documents.ts";
import { logIn, signUp, type TestUser } from "../kit/client.ts";
import { removeFolder, temporaryFolder } from "../kit/folders.ts";
import { ADMIN, startTestNode, type TestNode } from "../kit/node.ts";
import { send } from "../kit/raw-http.ts";
import { openRawWebSocket } from "../kit/raw-websocket.ts";
import { createSdk } from "../kit/session-client.ts";
import { subscribeByWebSocket } from "../kit/subscriber.ts";

const LISTED = "query Mine { viewer { email } }";
const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");

describe("a node with TRUSTED_DOCUMENTS", () => {
  let node: TestNode;
  let user: TestUser;
  let folder: string;
  beforeAll(async () => {
    folder = await temporaryFolder("documents");
    const path = join(folder, "documents.json");
    await writeFile(path, JSON.stringify({ mine: LISTED, [sha256(LISTED)]: LISTED }));
    node = await startTestNode("postgres", { settings: { TRUSTED_DOCUMENTS: path } });
    user = await signUp(node.url);
  });
  afterAll(async () => {
    await node.stop();
    await removeFolder(folder);
  });

  async function post(request: object): Promise<{ status: number; code?: string; email?: string }> {
    const { status, body } = await send(node.url, {
      headers: {
        "content-type": "application/json",
        accept: "application/graphql-response+json",
        authorization: `Bearer ${user.token}`,
      },
      body: JSON.stringify(request),
    });
    const { data, errors } = JSON.parse(body);
    return { status, code: errors?.[0].extensions.code, email: data?.viewer?.email };
  }

  test.each<[string, object]>([
    ["by its text", { query: LISTED }],
    ["by its text with other spaces and __typename", { query: "query Mine{viewer{email __typename}}" }],
    ["by its id", { documentId: "mine" }],
    [
      "by its hash, as Apollo sends it",
      { extensions: { persistedQuery: { version: 1, sha256Hash: sha256(LISTED) } } },
    ],
  ])("runs a listed document %s", async (_how, request) => {
    expect(await post(request)).toEqual({ status: 200, email: user.email });
  });

  test.each<[string, object, string]>([
    ["another document", { query: "{ viewer { id } }" }, "DOCUMENT_NOT_TRUSTED"],
    [
      "a listed one with a field more",
      { query: "query Mine { viewer { email name } }" },
      "DOCUMENT_NOT_TRUSTED",
    ],
    [
      "a listed one under another name",
      { query: "query Yours { viewer { email } }" },
      "DOCUMENT_NOT_TRUSTED",
    ],
    [
      "a listed one with an alias",
      { query: "query Mine { viewer { email: name } }" },
      "DOCUMENT_NOT_TRUSTED",
    ],
    ["an id of none", { documentId: "yours" }, "DOCUMENT_NOT_TRUSTED"],
    ["an id of no string", { documentId: 1 }, "BAD_REQUEST"],
    ["introspection", { query: "{ __schema { types { name } } }" }, "DOCUMENT_NOT_TRUSTED"],
    ["__typename alone", { query: "{ __typename }" }, "DOCUMENT_NOT_TRUSTED"],
    ["nothing", {}, "BAD_REQUEST"],
    ["a syntax error", { query: "{" }, "GRAPHQL_PARSE_FAILED"],
  ])("refuses %s", async (_what, request, code) => {
    expect(await post(request)).toEqual({ status: 400, code, email: undefined });
  });

  test.each([
    ["the dashboard's users", UsersDocument],
    ["the log", SessionEventsDocument],
  ])(
    "runs %s as urql and Apollo send it: printed anew, with __typename everywhere",
    async (_what, document) => {
      const sent = stringifyDocument(formatDocument(parse(String(document))));
      expect(sent).not.toBe(String(document));
      const { code } = await post({ query: sent });
      expect(code).not.toBe("DOCUMENT_NOT_TRUSTED");
    },
  );

  test("does the same over WebSocket, and the socket lives", async () => {
    const client = await openRawWebSocket(node.url);
    onTestFinished(() => void client.socket.destroy());
    client.send({ type: "connection_init", payload: { authorization: `Bearer ${user.token}` } });
    await client.next("connection_ack");
    client.send({ type: "subscribe", id: "other", payload: { query: "{ viewer { id } }" } });
    expect(await client.next("error")).toMatchObject({
      message: { id: "other", payload: [{ extensions: { code: "DOCUMENT_NOT_TRUSTED" } }] },
    });
    const extensions = { persistedQuery: { version: 1, sha256Hash: sha256(LISTED) } };
    client.send({ type: "subscribe", id: "by id", payload: { query: "", extensions } });
    expect(await client.next("next")).toMatchObject({
      message: { id: "by id", payload: { data: { viewer: { email: user.email } } } },
    });
  });

  test("runs what the SDK, the dashboard and the verifier ask, without a list", async () => {
    const admin = await logIn(node.url, ADMIN);
    const subscriber = await subscribeByWebSocket(node.url, user.token);
    const client = createSdk(node.url);
    onTestFinished(() => client.close());
    await client.login(ADMIN);
    expect(client.getSnapshot().status).toBe("signedIn");
    expect((await admin.run(ViewerDocument)).data?.viewer?.email).toBe(ADMIN.email);
    const { FOLLOW } = await import("../../src/verifier/documents.ts");
    const trusted = await readTrustedDocuments(join(folder, "documents.json"));
    expect(trusted.find(sha256(FOLLOW))).toBe(FOLLOW);
    expect(trusted.find(sha256(String(LoginDocument)))).toBe(String(LoginDocument));
    subscriber.stop();
  });
});

test("Apollo's manifest is a list, too", async () => {
  const folder = await temporaryFolder("documents");
  onTestFinished(() => removeFolder(folder));
  const path = join(folder, "manifest.json");
  const operations = [{ id: "1", name: "Mine", type: "query", body: LISTED }];
  await writeFile(
    path,
    JSON.stringify({ format: "apollo-persisted-query-manifest", version: 1, operations }),
  );
  expect((await readTrustedDocuments(path)).find("1")).toBe(LISTED);
});

test.each([
  ["that is not there", undefined, /cannot be read: ENOENT/],
  ["that is no JSON", "query { viewer { id } }", /is no list of documents/],
  ["that lists numbers", '{"a": 1}', /is no list of documents/],
  ["with a document that is none", '{"a": "query {"}', /has a document that is no GraphQL, a:/],
])("a node does not start with a file %s", async (_what, content, message) => {
  const folder = await temporaryFolder("documents");
  onTestFinished(() => removeFolder(folder));
  const path = join(folder, "documents.json");
  if (content !== undefined) await writeFile(path, content);
  await expect(startTestNode("embedded", { settings: { TRUSTED_DOCUMENTS: path } })).rejects.toThrow(message);
});
