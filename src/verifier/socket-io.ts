import type { Socket } from "socket.io";
import { SessionEndedError } from "./errors.ts";
import type { Verifier } from "./verifier.ts";
import { closeFor } from "./ws.ts";

/**
 * Middleware for Socket.IO (`io.use`): a client gives an access token as `auth: { token }`; `socket.data.session` tells whose it is.
 * When the session ends the client gets `sessionEnded` with the reason and is disconnected.
 */
export function holdConnections(verifier: Verifier) {
  return (socket: Socket, next: (error?: Error) => void): void => {
    const { token } = socket.handshake.auth as { token?: unknown };
    verifier.hold(typeof token === "string" ? token : "").then(
      (lease) => {
        socket.data.session = lease.claims;
        socket.once("disconnect", lease.release);
        lease.signal.addEventListener(
          "abort",
          () => {
            const { reason } = lease.signal;
            if (reason instanceof SessionEndedError) socket.emit("sessionEnded", { reason: reason.reason });
            socket.disconnect(true);
          },
          { once: true },
        );
        // Ended while the handshake was under way.
        next(lease.signal.aborted ? new Error(closeFor(lease.signal.reason)[1]) : undefined);
      },
      (error: unknown) => next(new Error(closeFor(error)[1])),
    );
  };
}
