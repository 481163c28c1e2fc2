import type { IncomingMessage, ServerResponse } from "node:http";
import type { Logger } from "pino";
import type { Config } from "../config.ts";
import { type CredentialRooms, presentedToken, resolveCredentials } from "../graphql/credentials.ts";
import { isServiceAccount } from "../sessions/service-accounts.ts";
import { requestOrigin } from "./request-origin.ts";

interface ForwardAuthRooms extends Omit<CredentialRooms, "unusualActivity"> {
  readonly config: Config;
  readonly log: Logger;
}

/**
 * Answers a proxy (nginx' `auth_request`, Traefik's ForwardAuth, Caddy's `forward_auth`) that asks whether to let a request
 * through: 200 with who it is, 401, or 503 if this cannot be said now. By the cookie or the bearer token of the request.
 */
export function createForwardAuth({ config, log, ...rooms }: ForwardAuthRooms) {
  const { unusualActivity } = config;
  return async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    response.setHeader("cache-control", "no-store");
    try {
      const presented = presentedToken(request, config);
      const origin = requestOrigin(request, config);
      const credentials = await resolveCredentials({ ...rooms, unusualActivity }, presented, origin, "use");
      if (credentials.kind !== "live") {
        response.setHeader("www-authenticate", "Bearer");
        if (credentials.kind === "ended") response.setHeader("x-auth-reason", credentials.end.reason);
        return void response.writeHead(401).end();
      }
      const { lease } = credentials;
      try {
        // Asked at the moment of answering: the process may have been paused since (P3).
        if (!(await rooms.directory.confirm(lease)))
          return void response.writeHead(lease.ended ? 401 : 503).end();
        if (isServiceAccount(lease.current)) return void response.writeHead(401).end();
        const { session, user } = lease.current;
        response
          .writeHead(200, {
            "x-auth-user-id": user.id,
            "x-auth-role": user.role,
            "x-auth-session-id": session.id,
          })
          .end();
      } finally {
        lease.release();
      }
    } catch (error) {
      log.error({ err: error }, "a proxy could not be answered");
      response.writeHead(503, { "retry-after": "2" }).end();
    }
  };
}
