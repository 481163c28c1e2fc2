import type { IncomingMessage, ServerResponse } from "node:http";
import { guard } from "./http.ts";
import type { Claims, Verifier } from "./verifier.ts";

/** What {@link requireSession} adds to a request. */
export interface WithSession {
  session?: Claims;
}

/** Middleware for Express, and anything that takes the same: only live sessions go on, as `request.session`. */
export function requireSession(verifier: Verifier) {
  return (
    request: IncomingMessage & WithSession,
    response: ServerResponse,
    next: (error?: unknown) => void,
  ): void => {
    guard(verifier, request, response).then((lease) => {
      if (!lease) return;
      request.session = lease.claims;
      next();
    }, next);
  };
}
