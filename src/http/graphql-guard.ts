import type { IncomingMessage, ServerResponse } from "node:http";
import { isFromAllowedSite, isFromBrowser, type OriginConfig, ownOrigin } from "./request-origin.ts";

/** How long a browser may remember the answer to a preflight, in seconds. */
const PREFLIGHT_MAX_AGE_S = 600;

/**
 * What stands before the GraphQL server: which pages may call it and in what form. It is an allow-list, because
 * deny-lists of "simple" requests have been passed before (GHSA-9q82-xgwf-vj6h). Answers what it refuses, and
 * preflights, itself; returns whether the request may go on.
 */
export function passesGuard(
  request: IncomingMessage,
  response: ServerResponse,
  config: OriginConfig,
): boolean {
  response.setHeader("vary", "origin");
  if (!isFromAllowedSite(request, config)) return refuseSite(response);
  allowOtherOrigin(request, response, config);
  switch (request.method) {
    case "OPTIONS":
      response.writeHead(204).end();
      return false;
    case "GET":
      // A cookie without a word on where the request comes from: an old browser, and anybody's page.
      if (!isFromBrowser(request) && request.headers.cookie !== undefined) return refuseSite(response);
      if (request.headers["content-type"] !== undefined && !isJson(request)) return refuseType(response);
      return true;
    case "POST":
      return isJson(request) && request.headers["content-encoding"] === undefined
        ? true
        : refuseType(response);
    default:
      response.setHeader("allow", "GET, POST, OPTIONS");
      return refuse(response, 405, "BAD_REQUEST", "Use POST, or GET for queries.");
  }
}

function allowOtherOrigin(request: IncomingMessage, response: ServerResponse, config: OriginConfig): void {
  const { origin } = request.headers;
  if (origin === undefined || origin === ownOrigin(request, config)) return;
  response.setHeader("access-control-allow-origin", origin);
  response.setHeader("access-control-allow-credentials", "true");
  if (request.method !== "OPTIONS") return;
  response.setHeader("access-control-allow-methods", "GET, POST");
  response.setHeader("access-control-allow-headers", "content-type, authorization");
  response.setHeader("access-control-max-age", PREFLIGHT_MAX_AGE_S);
}

/** `application/json`, in UTF-8 if it says so: a form cannot send it without a preflight. */
function isJson(request: IncomingMessage): boolean {
  return /^application\/json\s*(;\s*charset=("?)utf-8\2\s*)?$/i.test(request.headers["content-type"] ?? "");
}

function refuseSite(response: ServerResponse): false {
  return refuse(
    response,
    403,
    "CROSS_SITE",
    "Pages of this origin may not call the service. See ALLOWED_ORIGINS.",
  );
}

function refuseType(response: ServerResponse): false {
  return refuse(response, 415, "BAD_REQUEST", "Send the body as application/json in UTF-8, not encoded.");
}

function refuse(response: ServerResponse, status: number, code: string, message: string): false {
  const body = JSON.stringify({ errors: [{ message, extensions: { code } }] });
  // The body that was sent is not read, so the connection cannot be used again.
  response
    .writeHead(status, { "content-type": "application/json; charset=utf-8", connection: "close" })
    .end(body);
  return false;
}
