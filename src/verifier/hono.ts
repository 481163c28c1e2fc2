import type { MiddlewareHandler } from "hono";
import { bearerToken, refusalFor } from "./http.ts";
import type { Claims, Verifier } from "./verifier.ts";

/** What {@link requireSession} adds to a context: `context.get("session")`. */
export interface WithSession {
  Variables: { session: Claims };
}

/** Middleware for Hono: only live sessions go on. Give what runs long the signal: `context.get("sessionSignal")`. */
export function requireSession(
  verifier: Verifier,
): MiddlewareHandler<{ Variables: { session: Claims; sessionSignal: AbortSignal } }> {
  return async (context, next) => {
    try {
      const lease = await verifier.hold(bearerToken(context.req.header("authorization")));
      context.set("session", lease.claims);
      context.set("sessionSignal", lease.signal);
      try {
        await next();
      } finally {
        lease.release();
      }
    } catch (error) {
      const { status, body, headers } = refusalFor(error);
      return context.json(body, status, { ...headers });
    }
    return undefined;
  };
}
