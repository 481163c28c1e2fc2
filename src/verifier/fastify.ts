import type { FastifyReply, FastifyRequest } from "fastify";
import { guard } from "./http.ts";
import type { Claims, Verifier } from "./verifier.ts";

/** What {@link requireSession} adds to a request. */
export interface WithSession {
  session?: Claims;
}

/** A hook for Fastify's `preHandler` or `onRequest`: only live sessions go on, as `request.session`. */
export function requireSession(verifier: Verifier) {
  return async (request: FastifyRequest & WithSession, reply: FastifyReply): Promise<void> => {
    const lease = await guard(verifier, request.raw, reply.raw);
    // Answered already, past Fastify.
    if (!lease) return void reply.hijack();
    request.session = lease.claims;
  };
}
