import { AsyncLocalStorage } from "node:async_hooks";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type { Logger } from "pino";
import type { Config } from "../config.ts";
import { withRequestId } from "../log.ts";
import { openDashboard } from "./dashboard.ts";
import { type Page, wantsPage } from "./graphiql.ts";
import { passesGuard } from "./graphql-guard.ts";
import { listen } from "./listen.ts";
import { countHeader, isFromAllowedSite, isSecure, requestedOrigin, requestIdOf } from "./request-origin.ts";

/** Headers of every answer, unless a route has its own: OWASP ASVS 5.0, 3.4. */
const COMMON_HEADERS = Object.entries({
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "x-frame-options": "DENY",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
});

/** A browser that has once come by https does not come by http for a year. */
const STRICT_TRANSPORT_SECURITY = "max-age=31536000; includeSubDomains";

/** How long others may keep our keys: far shorter than a new one is published before it signs. */
const KEY_SET_MAX_AGE_S = 300;

/**
 * How long a request may take to arrive. Ours are small, and whoever sends a byte now and then holds a connection for
 * nothing; Node itself waits for five minutes.
 */
const IMPATIENCE = {
  headersTimeout: 8_000,
  requestTimeout: 12_000,
  connectionsCheckingInterval: 2_000,
} as const;

export interface HttpRooms {
  readonly config: Config;
  readonly log: Logger;
  readonly graphql: (request: IncomingMessage, response: ServerResponse) => Promise<void>;
  readonly upgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => void;
  readonly forwardAuth: (request: IncomingMessage, response: ServerResponse) => Promise<void>;
  readonly metrics: (request: IncomingMessage, response: ServerResponse) => Promise<void>;
  readonly eventPoll: (request: IncomingMessage, response: ServerResponse) => Promise<void>;
  /** The `iss` of what this service signs. */
  readonly issuer: () => string;
  /** What other services check our signatures by. */
  readonly keySet: () => Promise<unknown>;
  /** Undefined: turned off. */
  readonly graphiql: Page | undefined;
  /** Why this node should get no requests now; undefined: it is ready. */
  readonly unreadiness: () => string | undefined;
}

export interface HttpServer {
  /** Resolves with the port. Throws {@link OperatorError} if it cannot listen there. */
  readonly listen: () => Promise<number>;
  /**
   * Takes no new connections, lets requests finish, and ends streams without a word, so that their clients come
   * back. What is not over after `withinMs` is cut.
   */
  readonly close: (withinMs: number) => Promise<void>;
  /** Ends streams without a word, so that their clients come back, here or to another node. */
  readonly cutStreams: () => void;
}

/** The node's HTTP server: its routes, and what holds for all of them. It does not listen yet. */
export function createHttpServer(rooms: HttpRooms): HttpServer {
  const { config, log } = rooms;
  const responses = new Set<ServerResponse>();
  const dashboard = openDashboard({ hasGraphiQL: rooms.graphiql !== undefined });

  const server = createServer(IMPATIENCE, (request, response) => {
    responses.add(response);
    response.once("close", () => responses.delete(response));
    for (const [name, value] of COMMON_HEADERS) response.setHeader(name, value);
    if (isSecure(request, config)) response.setHeader("strict-transport-security", STRICT_TRANSPORT_SECURITY);
    const requestId = requestIdOf(request, config);
    response.setHeader("x-request-id", requestId);
    void withRequestId(requestId, () => answerRequest(request, response));
  });

  server.on("upgrade", (request, socket, head) => {
    socket.on("error", (error) => log.debug({ err: error }, "a client broke off"));
    const path = pathOf(request);
    if (path === undefined) return refuseUpgrade(socket, "400 Bad Request");
    if (path !== "/graphql") return refuseUpgrade(socket, "404 Not Found");
    // Browsers let any page open a WebSocket anywhere, cookies included; only this check stops it.
    if (!isFromAllowedSite(request, config)) return refuseUpgrade(socket, "403 Forbidden");
    rooms.upgrade(request, socket, head);
  });

  async function answerRequest(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (log.isLevelEnabled("debug")) logWhenAnswered(request, response);
    try {
      await route(request, response);
    } catch (error) {
      log.error({ err: error }, "a request failed");
      if (!response.headersSent) response.writeHead(500);
      response.end();
    }
  }

  function logWhenAnswered(request: IncomingMessage, response: ServerResponse): void {
    const startedAt = performance.now();
    const onClose = AsyncLocalStorage.bind(() => {
      // Not what comes after the path, which may hold anything.
      const [path] = (request.url ?? "").split("?");
      const ms = Math.round(performance.now() - startedAt);
      log.debug({ method: request.method, path, status: response.statusCode, ms }, "a request was answered");
    });
    response.once("close", onClose);
  }

  async function route(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = pathOf(request);
    if (path === undefined) return answer(response, 400, "The Host header or the path is not valid.\n");
    if (dashboard?.has(path)) return dashboard.serve(request, response, path);
    switch (path) {
      case "/":
        return answer(
          response,
          503,
          "The dashboard was not built: run `npm run build`. GraphQL is at /graphql.\n",
        );
      case "/graphql":
        if (wantsPage(request)) {
          if (rooms.graphiql) return rooms.graphiql.serve(request, response);
          return answer(response, 404, "GraphiQL is turned off here. Send operations by POST.\n");
        }
        response.setHeader("cache-control", "no-store");
        if (passesGuard(request, response, config)) await rooms.graphql(request, response);
        return;
      case "/metrics":
        return rooms.metrics(request, response);
      case "/auth/verify":
        return rooms.forwardAuth(request, response);
      case "/events/poll":
        return rooms.eventPoll(request, response);
      case "/.well-known/ssf-configuration":
        return sendJson(response, transmitterMetadata(rooms.issuer()), KEY_SET_MAX_AGE_S);
      case "/.well-known/jwks.json":
        return sendJson(response, await rooms.keySet(), KEY_SET_MAX_AGE_S);
      case "/healthz":
        return answer(response, 200, "The process runs.\n");
      case "/readyz": {
        const reason = rooms.unreadiness();
        return answer(response, reason ? 503 : 200, `${reason ?? "This node is ready."}\n`);
      }
      default:
        return answer(response, 404, "There is nothing here. GraphQL is at /graphql.\n");
    }
  }

  function cutStreams(): void {
    for (const response of responses) {
      if (response.getHeader("content-type") === "text/event-stream") response.destroy();
    }
  }

  return {
    cutStreams,
    listen: async () => (await listen(server, config, "HOST and PORT")).port,
    async close(withinMs) {
      const closed = new Promise((resolve) => server.close(resolve));
      const overdue = setTimeout(() => server.closeAllConnections(), withinMs);
      cutStreams();
      await closed;
      clearTimeout(overdue);
    },
  };
}

/** What a URL does not spell in another way. */
const SIMPLE_PATH = /^(?:\/[\w-]+)+$/;

/** What the request asks for, without its query. Undefined if the client sent what no URL can be made of. */
function pathOf(request: IncomingMessage): string | undefined {
  // Whoever stands in front of us may have looked at the other one (RFC 9112, 3.2).
  if (countHeader(request, "host") !== 1) return undefined;
  const origin = requestedOrigin(request);
  if (origin === undefined) return undefined;
  const { url = "" } = request;
  return SIMPLE_PATH.test(url) ? url : URL.parse(url, origin)?.pathname;
}

/** OpenID Shared Signals Framework 1.0, 7.1. Receivers are registered by an administrator, so there is no endpoint for that. */
function transmitterMetadata(issuer: string): unknown {
  return {
    spec_version: "1_0",
    issuer,
    jwks_uri: `${issuer}/.well-known/jwks.json`,
    delivery_methods_supported: ["urn:ietf:rfc:8935", "urn:ietf:rfc:8936"],
  };
}

function sendJson(response: ServerResponse, content: unknown, maxAgeS: number): void {
  response
    .writeHead(200, {
      "content-type": "application/json; charset=utf-8",
      "cache-control": `public, max-age=${maxAgeS}`,
      "access-control-allow-origin": "*",
      "cross-origin-resource-policy": "cross-origin",
    })
    .end(JSON.stringify(content));
}

function answer(response: ServerResponse, status: number, text: string): void {
  response
    .writeHead(status, { "content-type": "text/plain; charset=utf-8", "cache-control": "no-store" })
    .end(text);
}

function refuseUpgrade(socket: Duplex, status: string): void {
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}
