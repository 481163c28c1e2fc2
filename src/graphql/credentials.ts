import type { IncomingMessage } from "node:http";
import type { Config } from "../config.ts";
import { readSessionCookie } from "../http/session-cookie.ts";
import type { Directory } from "../revocation/directory.ts";
import { hashToken } from "../sessions/token.ts";
import type { Credentials } from "./context.ts";

/** A token as a request presents it. It may be anything: a malformed one is as good as none. */
export interface PresentedToken {
  readonly token: string;
  readonly by: "bearer" | "cookie";
}

/** The token in an `Authorization: Bearer ...` header or in the cookie; of both, the header counts. */
export function presentedToken(request: IncomingMessage, config: Config): PresentedToken | undefined {
  const headers = request.headersDistinct["authorization"];
  if (headers) return { token: headers.length === 1 ? bearerToken(headers[0] ?? "") : "", by: "bearer" };
  const token = readSessionCookie(request, config);
  return token === undefined ? undefined : { token, by: "cookie" };
}

/** What follows the scheme; the empty string if this is no bearer authorization (RFC 6750, 2.1). */
export function bearerToken(authorization: string): string {
  return /^Bearer ([^\s]+)$/i.exec(authorization)?.[1] ?? "";
}

/** Whom a token speaks for. A lease that is part of the answer is the caller's to release. */
export async function resolveCredentials(
  directory: Directory,
  presented: PresentedToken | undefined,
  purpose: "use" | "connect",
): Promise<Credentials> {
  const tokenHash = presented && hashToken(presented.token);
  if (tokenHash === undefined) return { kind: "anonymous" };
  const resolution = await directory.resolve(tokenHash, purpose);
  return resolution.kind === "unknown" ? { kind: "anonymous" } : resolution;
}
