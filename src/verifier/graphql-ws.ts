import type { Context, ServerOptions } from "graphql-ws";
import type { Extra } from "graphql-ws/use/ws";
import { bearerToken } from "./http.ts";
import type { SessionLease, Verifier } from "./verifier.ts";
import { holdSocket } from "./ws.ts";

/** What {@link holdConnections} adds to a connection's `extra`. */
export interface WithLease {
  sessionLease?: SessionLease;
}

type Hooks = Pick<ServerOptions<Record<string, unknown>, Extra & WithLease>, "onConnect" | "onSubscribe">;

/**
 * Hooks for graphql-ws' `useServer` with ws: a connection gives an access token in `connectionParams.authorization`, and is closed
 * when its session ends. `context.extra.sessionLease` tells whose it is.
 */
export function holdConnections(verifier: Verifier): Hooks {
  return {
    async onConnect({ connectionParams, extra }: Context<Record<string, unknown>, Extra & WithLease>) {
      const authorization = connectionParams?.["authorization"];
      const token = bearerToken(typeof authorization === "string" ? authorization : undefined);
      const lease = await holdSocket(verifier, extra.socket, token);
      if (!lease) return false;
      extra.sessionLease = lease;
      return true;
    },
    // graphql-ws itself handles the messages of a socket that is closing.
    onSubscribe: ({ extra }) => {
      extra.sessionLease?.signal.throwIfAborted();
    },
  };
}
