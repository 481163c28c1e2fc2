import { randomUUID } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { TLSSocket } from "node:tls";
import proxyAddress from "proxy-addr";
import type { Config } from "../config.ts";
import type { Origin } from "../sessions/login.ts";

export type OriginConfig = Pick<Config, "publicUrl" | "allowedOrigins" | "trustProxy">;

/** A bare host and port, without what else a URL can hold before its path. */
const HOST = /^([\w.-]+|\[[\da-f:.]+\])(:\d{1,5})?$/i;

/** `https://login.example.com`: what browsers call this service. Undefined if the Host header is no host. */
export function ownOrigin(request: IncomingMessage, config: OriginConfig): string | undefined {
  if (config.publicUrl) return config.publicUrl.origin;
  return requestedOrigin(request, isSecure(request, config) ? "https" : "http");
}

/** What the Host header says. Undefined if it is no host. */
export function requestedOrigin(request: IncomingMessage, scheme = "http"): string | undefined {
  const host = request.headers.host ?? "";
  return HOST.test(host) ? URL.parse(`${scheme}://${host}`)?.origin : undefined;
}

/** How often a header was sent, of which Node gives the first one or all together. `name` in lower case. */
export function countHeader({ rawHeaders }: IncomingMessage, name: string): number {
  let count = 0;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    if (rawHeaders[index]?.length === name.length && rawHeaders[index]?.toLowerCase() === name) count += 1;
  }
  return count;
}

/** Whether the browser reaches us over https: by PUBLIC_URL, by a trusted proxy's word, or by the socket. */
export function isSecure(request: IncomingMessage, config: OriginConfig): boolean {
  if (config.publicUrl) return config.publicUrl.protocol === "https:";
  if (isFromProxy(request, config)) return request.headers["x-forwarded-proto"] === "https";
  return (request.socket as TLSSocket).encrypted === true;
}

/** The client's address: the nearest one that is no proxy of ours. Undefined once the socket is gone. */
export function clientAddress(request: IncomingMessage, config: OriginConfig): string | undefined {
  if (!request.socket.remoteAddress) return undefined;
  const address = proxyAddress(request, config.trustProxy);
  // An IPv4 address on a socket that speaks both reads ::ffff:1.2.3.4, and is the same address.
  return /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1] ?? address;
}

/** Where a request comes from, as far as it tells. */
export function requestOrigin(request: IncomingMessage, config: OriginConfig): Origin {
  return { ipAddress: clientAddress(request, config), userAgent: request.headers["user-agent"] };
}

/** Whether one of our own proxies passed it on, whose word counts. */
function isFromProxy(request: IncomingMessage, config: OriginConfig): boolean {
  const { remoteAddress } = request.socket;
  return remoteAddress !== undefined && config.trustProxy(remoteAddress, 0);
}

/**
 * Whether a page may act through this request: it belongs to this service or to an allowed origin, or there is
 * no page because no browser sent it. A browser that tells no Origin tells at least `sec-fetch-site`.
 */
export function isFromAllowedSite(request: IncomingMessage, config: OriginConfig): boolean {
  const { origin } = request.headers;
  if (origin !== undefined) return origin === ownOrigin(request, config) || config.allowedOrigins.has(origin);
  const site = request.headers["sec-fetch-site"];
  return site === undefined || site === "same-origin";
}

/** Whether a browser sent it, as far as one can tell: browsers do not let pages remove these headers. */
export function isFromBrowser(request: IncomingMessage): boolean {
  return request.headers.origin !== undefined || request.headers["sec-fetch-site"] !== undefined;
}

/** The id of a request: the one that our proxy gave it, so that both logs have the same, or a new one. */
export function requestIdOf(request: IncomingMessage, config: OriginConfig): string {
  const given = request.headers["x-request-id"];
  // Anybody else's could be made to look like another request, or like another line.
  const isUsable =
    typeof given === "string" && /^[\w.:-]{1,100}$/.test(given) && isFromProxy(request, config);
  return isUsable ? given : randomUUID();
}
