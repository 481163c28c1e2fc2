import type { WebSocket } from "ws";
import { InvalidTokenError, SessionEndedError, UnavailableError } from "./errors.ts";
import type { SessionLease, Verifier } from "./verifier.ts";

/** A client has this long to answer a close; then the connection is cut. Milliseconds. */
const TERMINATE_AFTER_MS = 1_000;

/** The code and the reason that a socket is closed with, the same as the service's own. */
export function closeFor(error: unknown): readonly [code: number, reason: string] {
  if (error instanceof SessionEndedError) return [4401, `Session revoked: ${error.reason}`];
  if (error instanceof InvalidTokenError) return [4403, "Authentication required"];
  if (error instanceof UnavailableError) return [1013, "Try again later"];
  return [1011, "Internal error"];
}

/**
 * Ties a socket of ws to its session: closed with 4401 when that ends, with 1013 when it cannot be said any more, and cut a
 * second later. Undefined if the token is refused; the socket is closed then.
 */
export async function holdSocket(
  verifier: Verifier,
  socket: Pick<WebSocket, "close" | "terminate" | "once">,
  token: string,
): Promise<SessionLease | undefined> {
  const close = (cause: unknown) => {
    socket.close(...closeFor(cause));
    // A close frame is not the end: a client may never answer it, and go on sending.
    setTimeout(() => socket.terminate(), TERMINATE_AFTER_MS).unref();
  };
  try {
    const lease = await verifier.hold(token);
    lease.signal.addEventListener("abort", () => close(lease.signal.reason), { once: true });
    socket.once("close", lease.release);
    return lease;
  } catch (error) {
    close(error);
    return undefined;
  }
}
