import type { IncomingMessage, ServerResponse } from "node:http";
import { InvalidTokenError, SessionEndedError, UnavailableError } from "./errors.ts";
import type { SessionLease, Verifier } from "./verifier.ts";

/** What follows `Authorization: Bearer`; the empty string if this is none. */
export function bearerToken(authorization: string | undefined): string {
  return /^Bearer (\S+)$/i.exec(authorization ?? "")?.[1] ?? "";
}

/** How a request is refused. */
export interface Refusal {
  readonly status: 401 | 503;
  readonly body: {
    readonly error: "invalid_token" | "session_ended" | "unavailable";
    readonly reason?: string;
  };
  readonly headers: Readonly<Record<string, string>>;
}

/** The answer to a request whose token `verify` or `hold` refused. Throws what is no refusal. */
export function refusalFor(error: unknown): Refusal {
  if (error instanceof SessionEndedError) {
    const body = { error: "session_ended", reason: error.reason } as const;
    return { status: 401, body, headers: { "www-authenticate": 'Bearer error="invalid_token"' } };
  }
  if (error instanceof InvalidTokenError) {
    const body = { error: "invalid_token" } as const;
    return { status: 401, body, headers: { "www-authenticate": 'Bearer error="invalid_token"' } };
  }
  if (error instanceof UnavailableError) {
    return { status: 503, body: { error: "unavailable" }, headers: { "retry-after": "2" } };
  }
  throw error;
}

/**
 * Lets a request of `node:http` through with a lease, or answers it and gives back nothing. A response that is still being
 * written when the session ends is cut off.
 */
export async function guard(
  verifier: Verifier,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<SessionLease | undefined> {
  try {
    const lease = await verifier.hold(bearerToken(request.headers.authorization));
    const cut = () => void response.destroy();
    lease.signal.addEventListener("abort", cut, { once: true });
    response.once("close", () => {
      lease.signal.removeEventListener("abort", cut);
      lease.release();
    });
    return lease;
  } catch (error) {
    const { status, body, headers } = refusalFor(error);
    response.writeHead(status, { ...headers, "content-type": "application/json" }).end(JSON.stringify(body));
    return undefined;
  }
}
