import type { IncomingMessage, ServerResponse } from "node:http";
import { type FetchAPI, type GraphQLParams, isAsyncIterable, processRegularResult } from "graphql-yoga";
import { readParams } from "./request-params.ts";
import type { GraphQLServer } from "./server.ts";

/** What Yoga makes of a result, to be written as it is. */
class PlainAnswer {
  readonly body: string | null;
  readonly init: { readonly status: number; readonly headers: Readonly<Record<string, string>> };
  constructor(body: PlainAnswer["body"], init: PlainAnswer["init"]) {
    this.body = body;
    this.init = init;
  }
}

/** All of the request that plugins look at. */
const POSTED = { method: "POST" } as Request;
const PLAIN_FETCH = { Response: PlainAnswer } as unknown as FetchAPI;

/**
 * GraphQL over HTTP. Yoga turns each request into a `Request` and each answer into a `Response`, with their streams, headers and
 * some forty hooks, which takes half of the time. Nearly all requests are queries and mutations in JSON that are answered in JSON:
 * those are read and written here, and only what lies between is Yoga's. Whatever is anything else goes all of its way.
 */
export function createHttpEndpoint(
  graphql: GraphQLServer,
): (request: IncomingMessage, response: ServerResponse) => Promise<void> {
  const { getResultForParams } = graphql;

  /** False: nothing was done, and it has to go Yoga's way. */
  async function answerPlainly(
    req: IncomingMessage,
    res: ServerResponse,
    params: unknown,
    mediaType: string,
  ): Promise<boolean> {
    let result: Awaited<ReturnType<typeof getResultForParams>>;
    try {
      result = await getResultForParams({ params: params as GraphQLParams, request: POSTED }, { req, res });
    } catch {
      // Refused by a plugin before anything was executed: Yoga says so in its words.
      return false;
    }
    if (!result || isAsyncIterable(result)) throw new Error("a query or mutation came to no result");
    const { body, init } = processRegularResult(result, PLAIN_FETCH, mediaType) as unknown as PlainAnswer;
    const text = body ?? "";
    res.writeHead(init.status, { ...init.headers, "content-length": Buffer.byteLength(text) }).end(text);
    return true;
  }

  return async (req, res) => {
    const mediaType = req.method === "POST" ? plainMediaType(req.headers.accept) : undefined;
    if (mediaType === undefined) return void (await graphql(req, res, { req, res }));
    const reading = readParams(req, res);
    const params = await reading.catch(() => undefined);
    if (isPlain(params) && (await answerPlainly(req, res, params, mediaType))) return;
    await graphql(req, res, { req, res, params: reading });
  };
}

/** The media type of the answer, as Yoga chooses it: by the first that is accepted. Undefined: this header is not simple. */
function plainMediaType(accept = "*/*"): string | undefined {
  const first = accept.split(",", 1)[0]?.trim();
  if (first === "*/*") return "application/json";
  return first === "application/json" || first === "application/graphql-response+json" ? first : undefined;
}

/** Whether this is a request with the text of a document that can only come to one result. */
function isPlain(params: unknown): boolean {
  const query: unknown = (params as Partial<GraphQLParams> | undefined | null)?.query;
  return typeof query === "string" && query !== "" && !query.includes("subscription");
}
