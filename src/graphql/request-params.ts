import type { IncomingMessage, ServerResponse } from "node:http";
import { GraphQLError } from "graphql";
import { readBody } from "../http/request-body.ts";

/** The largest request body, in bytes. */
const MAX_BODY_BYTES = 1_000_000;

const decoder = new TextDecoder("utf-8", { fatal: true });

/** Reads a POST as JSON in UTF-8. Rejects with what the client is told if it is none, or too large. */
export async function readParams(request: IncomingMessage, response: ServerResponse): Promise<unknown> {
  const bytes = await readBody(request, MAX_BODY_BYTES);
  if (!bytes) {
    // The rest of it is not read, so the connection cannot be used again.
    response.setHeader("connection", "close");
    throw refusal(413, "REQUEST_ENTITY_TOO_LARGE", `The body has more than ${MAX_BODY_BYTES} bytes.`);
  }
  try {
    return JSON.parse(decoder.decode(bytes));
  } catch {
    throw refusal(400, "BAD_REQUEST", "The body is not JSON in UTF-8.");
  }
}

function refusal(status: number, code: string, message: string): GraphQLError {
  return new GraphQLError(message, { extensions: { code, http: { status } } });
}
