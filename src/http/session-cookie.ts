import type { IncomingMessage } from "node:http";
import type { Config } from "../config.ts";
import { isSecure } from "./request-origin.ts";

type CookieConfig = Pick<Config, "publicUrl" | "allowedOrigins" | "trustProxy" | "cookieSameSite">;

/**
 * The one name that is accepted. Over https the prefix makes browsers refuse the cookie from any other host,
 * path or script; over plain http, for development, no browser would keep it.
 */
function cookieName(secure: boolean): string {
  return secure ? "__Host-Http-session" : "session";
}

/** The session cookie's value. Undefined if there is none, or two: one of them was planted, and nobody knows which. */
export function readSessionCookie(request: IncomingMessage, config: CookieConfig): string | undefined {
  const prefix = `${cookieName(isSecure(request, config))}=`;
  const values = (request.headers.cookie ?? "")
    .split(";")
    .map((pair) => pair.trim())
    .filter((pair) => pair.startsWith(prefix))
    .map((pair) => pair.slice(prefix.length));
  return values.length === 1 ? values[0] : undefined;
}

/** A `set-cookie` header. With `expiresAt` the browser keeps it until then, else until it is closed. */
export function sessionCookie(
  request: IncomingMessage,
  config: CookieConfig,
  token: string,
  maxAgeSeconds: number | undefined,
): string {
  const secure = isSecure(request, config);
  return [
    `${cookieName(secure)}=${token}`,
    "Path=/",
    ...(secure ? ["Secure"] : []),
    "HttpOnly",
    `SameSite=${config.cookieSameSite}`,
    ...(maxAgeSeconds === undefined ? [] : [`Max-Age=${Math.floor(maxAgeSeconds)}`]),
  ].join("; ");
}

/** A `set-cookie` header that removes the cookie: the same attributes, or browsers would keep it. */
export function expiredSessionCookie(request: IncomingMessage, config: CookieConfig): string {
  return sessionCookie(request, config, "", 0);
}
