import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { usePersistedOperations as persistedOperations } from "@graphql-yoga/plugin-persisted-operations";
import { type DocumentNode, GraphQLError, parse, print, visit } from "graphql";
import type { GraphQLParams, Plugin } from "graphql-yoga";
import { z } from "zod";
import { OperatorError } from "../operator-error.ts";

/** How many texts are known to be trusted by themselves, so that they are not printed again; their length is limited. */
const REMEMBERED_TEXTS = 1_000;

/** The documents that are run, and no others: whoever finds the service can ask nothing that no client of it asks. */
export interface TrustedDocuments {
  /** The text of the document that a client names, by the id of its list. */
  readonly find: (id: string) => string | undefined;
  /** Whether this document is one of them, but for spacing and `__typename`, which clients add. */
  readonly has: (document: DocumentNode) => boolean;
}

/** Ids with texts, as graphql-codegen and Relay write them, or Apollo's manifest. */
const fileSchema = z.union([
  z
    .object({ operations: z.array(z.object({ id: z.string(), body: z.string() })) })
    .transform(({ operations }) => operations.map(({ id, body }) => [id, body] as const)),
  z.record(z.string(), z.string()).transform((documents) => Object.entries(documents)),
]);

/**
 * Reads the list of trusted documents. Those of the dashboard, of the SDK and of the verifier are on it in any case. Throws
 * {@link OperatorError} for a file that cannot be read, or that holds what is no GraphQL.
 */
export async function readTrustedDocuments(path: string): Promise<TrustedDocuments> {
  const refuse = (why: string) => new OperatorError(`TRUSTED_DOCUMENTS: ${path} ${why}`);
  let listed: readonly (readonly [string, string])[];
  try {
    listed = fileSchema.parse(JSON.parse(await readFile(path, "utf8")));
  } catch (error) {
    if (error instanceof Error && "code" in error) throw refuse(`cannot be read: ${error.message}.`);
    throw refuse(
      'is no list of documents. It takes JSON as { "id": "query { ... }" }, or Apollo\'s manifest.',
    );
  }
  const byId = new Map<string, string>();
  const known = new Set<string>();
  for (const [id, text] of [...listed, ...(await ownDocuments())]) {
    try {
      known.add(essenceOf(parse(text)));
    } catch (error) {
      if (!(error instanceof GraphQLError)) throw error;
      throw refuse(`has a document that is no GraphQL, ${id}: ${error.message}`);
    }
    byId.set(id, text);
  }
  return { find: (id) => byId.get(id), has: (document) => known.has(essenceOf(document)) };
}

async function ownDocuments(): Promise<(readonly [string, string])[]> {
  const modules = [await import("../client/generated/graphql.ts"), await import("../verifier/documents.ts")];
  return modules
    .flatMap((exported) => Object.values<unknown>({ ...exported }))
    .filter((value) => typeof value === "string" || value instanceof String)
    .map((value) => [sha256(String(value)), String(value)] as const);
}

/** What a document comes to, however it is spelled. */
function essenceOf(document: DocumentNode): string {
  const essential = visit(document, {
    SelectionSet: ({ selections, ...set }) => {
      const rest = selections.filter(
        ({ kind, ...node }) => !("name" in node && node.name.value === "__typename"),
      );
      return { ...set, selections: rest };
    },
  });
  return sha256(print(essential));
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

/** The id that a request names its document by: as Apollo and graphql-codegen do it, or by the draft of GraphQL over HTTP. */
export function documentIdOf(params: GraphQLParams | Readonly<Record<string, unknown>>): string | null {
  const { documentId } = params as { documentId?: unknown };
  if (typeof documentId === "string") return documentId;
  const { persistedQuery } = (params.extensions ?? {}) as { persistedQuery?: { sha256Hash?: unknown } };
  return typeof persistedQuery?.sha256Hash === "string" ? persistedQuery.sha256Hash : null;
}

/** Runs trusted documents only, named by id or sent as they are, the same on every transport. */
export function acceptOnlyTrusted(documents: TrustedDocuments): Plugin[] {
  const trustedTexts = new Set<string>();
  const byId: Plugin = persistedOperations({
    allowArbitraryOperations: true,
    extractPersistedOperationId: documentIdOf,
    getPersistedOperation: (id) => documents.find(id) ?? null,
    customErrors: { notFound: notTrusted, keyNotFound: () => badRequestWithoutDocument() },
  });
  const byText: Plugin = {
    onParse({ params: { source } }) {
      const text = String(source);
      return ({ result, replaceParseResult }) => {
        if (!result || result instanceof Error || trustedTexts.has(text)) return;
        if (!documents.has(result)) return replaceParseResult(notTrusted());
        if (trustedTexts.size < REMEMBERED_TEXTS) trustedTexts.add(text);
      };
    },
  };
  return [byId, byText];
}

function notTrusted(): GraphQLError {
  return new GraphQLError("This service runs known documents only, and this is none of them.", {
    extensions: { code: "DOCUMENT_NOT_TRUSTED", http: { status: 400, spec: true } },
  });
}

function badRequestWithoutDocument(): GraphQLError {
  return new GraphQLError("Send a document as `query`, or its id as `documentId`.", {
    extensions: { code: "BAD_REQUEST", http: { status: 400, spec: true } },
  });
}
