import type { IncomingMessage, ServerResponse } from "node:http";
import { createYoga, type GraphQLParams, type Plugin, type YogaServerInstance } from "graphql-yoga";
import type { Config } from "../config.ts";
import { isFromBrowser, requestOrigin } from "../http/request-origin.ts";
import { expiredSessionCookie, sessionCookie } from "../http/session-cookie.ts";
import type { Connection } from "./connection.ts";
import type { Context, CookieJar, Rooms } from "./context.ts";
import { presentedToken, resolveCredentials } from "./credentials.ts";
import { createErrorMask, isServiceUnavailable } from "./errors.ts";
import { bindToLease } from "./lease-binding.ts";
import { limitDocuments } from "./limits.ts";
import { createLoaders } from "./loaders.ts";
import { readParams } from "./request-params.ts";
import { createSchema } from "./schema.ts";
import { traceOperations } from "./tracing.ts";
import { acceptOnlyTrusted, type TrustedDocuments } from "./trusted-documents.ts";

/** What a transport knows of one operation when Yoga asks for its context. */
type TransportContext =
  | Posted
  /** Over WebSocket the connection, whose credentials were resolved once when it opened. */
  | { readonly connection: Connection };

interface Posted {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  /** What the body holds, if it was read already. */
  readonly params?: Promise<unknown>;
}

export type GraphQLServer = YogaServerInstance<TransportContext, Context>;

/** The GraphQL server: one pipeline of plugins, which HTTP, server-sent events and WebSocket all run through. */
export function createGraphQLServer(
  rooms: Rooms,
  config: Config,
  trusted: TrustedDocuments | undefined,
): GraphQLServer {
  const { log } = rooms;
  const maskError = createErrorMask(log);
  return createYoga<TransportContext, Context>({
    schema: createSchema(config.addedRoles),
    graphqlEndpoint: "/graphql",
    context: (transport) => createContext(rooms, config, transport),
    plugins: [
      traceOperations(),
      bindToLease(),
      limitDocuments(config),
      ...(trusted ? acceptOnlyTrusted(trusted) : []),
      acceptOnlyJson(),
      withholdDataIfUnavailable(),
    ],
    extraParamNames: trusted ? ["documentId"] : [],
    maskedErrors: { maskError },
    // Ours is read elsewhere: Yoga's way of counting makes three streams for each request, which took a quarter of its time.
    maxRequestBodySize: false,
    // What a stock Yoga also does and we must not: see docs/protocol.md.
    cors: false,
    graphiql: false,
    landingPage: false,
    multipart: false,
    batching: false,
    logging: {
      debug: (...args: unknown[]) => log.trace(args),
      info: (...args: unknown[]) => log.debug(args),
      warn: (...args: unknown[]) => log.warn(args),
      // The mask has logged it already, with the operation's path.
      error: () => {},
    },
  });
}

async function createContext(rooms: Rooms, config: Config, transport: TransportContext): Promise<Context> {
  if ("connection" in transport) return createSocketContext(rooms, transport.connection);
  const { req, res } = transport;
  const origin = requestOrigin(req, config);
  const presented = presentedToken(req, config);
  const { unusualActivity } = config;
  const credentials = await resolveCredentials({ ...rooms, unusualActivity }, presented, origin, "use");
  const cookies = createCookieJar(req, res, config);
  const isOver = credentials.kind === "anonymous" || credentials.kind === "ended";
  if (presented?.by === "cookie" && isOver) cookies.clear();
  return {
    ...rooms,
    isBrowser: isFromBrowser(req),
    origin,
    outlivesLease: false,
    loaders: createLoaders(rooms.prisma),
    credentials,
    presentedBy: presented?.by,
    cookies,
    release: credentials.kind === "live" ? () => credentials.lease.release() : () => {},
    onGone: (listener) => void (res.closed ? listener() : res.once("close", listener)),
    cut: () => void res.destroy(),
  };
}

/** The context of an operation over WebSocket. */
export function createSocketContext(rooms: Rooms, connection: Connection): Context {
  const { isBrowser, origin, credentials, presentedBy } = connection;
  return {
    ...rooms,
    isBrowser,
    origin,
    outlivesLease: false,
    loaders: createLoaders(rooms.prisma),
    credentials,
    presentedBy,
    cookies: undefined,
    release() {},
    onGone() {},
    cut() {},
  };
}

function createCookieJar(req: IncomingMessage, res: ServerResponse, config: Config): CookieJar {
  return {
    set: (token, maxAgeSeconds) =>
      void res.setHeader("set-cookie", sessionCookie(req, config, token, maxAgeSeconds)),
    clear() {
      res.setHeader("set-cookie", expiredSessionCookie(req, config));
      if (config.clearSiteData) res.setHeader("clear-site-data", config.clearSiteData);
    },
  };
}

/** Reads a POST as UTF-8 JSON, unless it was read already. The other formats that Yoga knows could be sent by any page's form. */
function acceptOnlyJson(): Plugin<object, Posted> {
  return {
    onRequestParse({ request, serverContext: { req, res, params }, setRequestParser }) {
      if (request.method !== "POST") return;
      setRequestParser(async () => (await (params ?? readParams(req, res))) as GraphQLParams);
    },
  };
}

/** An answer with `data` would have to be 200; one that says `SERVICE_UNAVAILABLE` is to be 503, and repeated. */
function withholdDataIfUnavailable(): Plugin {
  return {
    onExecutionResult({ result, setResult }) {
      if (!result || !("errors" in result)) return;
      const unavailable = result.errors?.find(isServiceUnavailable);
      if (unavailable) setResult({ errors: [unavailable] });
    },
  };
}
