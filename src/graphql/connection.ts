import type { IncomingMessage } from "node:http";
import type { WebSocket } from "ws";
import type { Config } from "../config.ts";
import { requestOrigin } from "../http/request-origin.ts";
import type { Lease } from "../revocation/lease.ts";
import type { Credentials } from "./context.ts";
import {
  bearerToken,
  type CredentialRooms,
  type PresentedToken,
  presentedToken,
  resolveCredentials,
} from "./credentials.ts";

/** Close codes and reasons; `docs/protocol.md` says what each makes a client do. */
export const CLOSE = {
  badRequest: [4400, "Invalid message received"],
  sessionRevoked: (reason: string) => [4401, `Session revoked: ${reason}`],
  authenticationRequired: [4403, "Authentication required"],
  tooManyMessages: [1008, "Too many messages"],
  restarting: [1012, "Service restart"],
  tryLater: [1013, "Try again later"],
} as const satisfies Record<
  string,
  readonly [number, string] | ((reason: string) => readonly [number, string])
>;

/** How long a client may take to say `connection_init`, and how long finding its session may take then. */
export const INIT_TIMEOUT_MS = 5_000;
/** How long the last messages to a client whose session ended may take before the close is sent anyway. */
const FAREWELL_MS = 300;
/** A client has this long to answer a close; then TCP is cut. With the farewell it stays below one second. */
const TERMINATE_AFTER_MS = 600;
/** What may wait for a client that does not read. Answers are shorter, and subscriptions wait for their turn. */
const MAX_BUFFERED_BYTES = 1_048_576;

export interface ConnectionRooms extends Omit<CredentialRooms, "unusualActivity"> {
  readonly config: Config;
  /** Whether the node knows enough of the log to accept connections at all (P3). */
  readonly isTrusted: () => boolean;
}

/** One client's socket, with the lease that it lives by. */
export class Connection {
  readonly request: IncomingMessage;
  lease: Lease | undefined;
  presentedBy: PresentedToken["by"] | undefined;
  readonly #socket: WebSocket;
  readonly #handling = new Set<Promise<void>>();
  #isClosing = false;
  #releases: (() => void)[] = [];

  constructor(socket: WebSocket, request: IncomingMessage) {
    this.#socket = socket;
    this.request = request;
  }

  /** Whether it was told to close: nothing that it still sends is looked at. */
  get isClosing(): boolean {
    return this.#isClosing;
  }

  /** Whether operations are run for it. */
  get isServing(): boolean {
    return !this.#isClosing && this.lease !== undefined && !this.lease.ended && !this.lease.isLost;
  }

  get credentials(): Credentials {
    return this.lease ? { kind: "live", lease: this.lease } : { kind: "anonymous" };
  }

  /**
   * Finds the session of the credentials and takes a lease on it for the connection's life, or closes. `payload` is
   * that of `connection_init`. Throws when the database is needed and does not answer.
   */
  async authenticate(
    rooms: ConnectionRooms,
    payload: Readonly<Record<string, unknown>> | undefined,
  ): Promise<void> {
    const deadline = setTimeout(() => this.close(CLOSE.tryLater), INIT_TIMEOUT_MS);
    const { config, isTrusted } = rooms;
    try {
      const presented = presentedAtInit(payload, this.request, config);
      this.presentedBy = presented?.by;
      const credentials = await resolveCredentials(
        { ...rooms, unusualActivity: config.unusualActivity },
        presented,
        requestOrigin(this.request, config),
        "connect",
      );
      // The client has the new token by now, or will when it comes back.
      if (credentials.kind === "rotated") return this.close(CLOSE.tryLater);
      if (credentials.kind === "anonymous") return this.close(CLOSE.authenticationRequired);
      if (credentials.kind === "ended") return this.close(CLOSE.sessionRevoked(credentials.end.reason));
      const { lease } = credentials;
      // The lease is registered before anything else is decided: an end from now on is heard, or seen below.
      this.lease = lease;
      lease.signal.addEventListener("abort", () => void this.#sayFarewell(), { once: true });
      if (this.#isClosing) return lease.release();
      if (!isTrusted()) return this.close(CLOSE.tryLater);
      lease.markConnected();
    } finally {
      clearTimeout(deadline);
    }
  }

  /** Remembers a message that is being handled, so that its last answers go out before a farewell's close. */
  handling(handled: Promise<void>, onError: (error: unknown) => void): void {
    const settled = handled.catch(onError).finally(() => this.#handling.delete(settled));
    this.#handling.add(settled);
  }

  send(data: string): Promise<void> {
    // What is meant for a client that asks and does not read would fill the memory of all.
    if (this.#socket.bufferedAmount > MAX_BUFFERED_BYTES) this.close(CLOSE.tryLater);
    return new Promise((resolve) => {
      if (this.#socket.readyState !== this.#socket.OPEN) return resolve();
      // A failed send means that the socket is gone, which "close" tells.
      this.#socket.send(data, () => resolve());
    });
  }

  close([code, reason]: readonly [number, string]): void {
    if (this.#isClosing) return;
    this.#isClosing = true;
    this.#socket.close(code, reason);
    // A close frame is not the end: a client may never answer it, and go on sending.
    setTimeout(() => this.#socket.terminate(), TERMINATE_AFTER_MS).unref();
  }

  /** Takes what is to be given back when the connection is over; false if there is nothing, because there is no room. */
  onRelease(release: (() => void) | undefined): boolean {
    if (release) this.#releases.push(release);
    return release !== undefined;
  }

  release(): void {
    this.#isClosing = true;
    for (const release of this.#releases.splice(0)) release();
    this.lease?.release();
  }

  /**
   * The session ended. Subscribers get their event and every operation its `complete`, because a client that
   * has nothing left to wait for does not come back; then the close says why.
   */
  async #sayFarewell(): Promise<void> {
    if (this.#isClosing) return;
    const end = this.lease?.ended;
    // A lost session says nothing to complete: the client is to come back, and is told then what there is to tell.
    if (!end) return this.close(CLOSE.tryLater);
    const overdue = Promise.withResolvers<void>();
    const timer = setTimeout(overdue.resolve, FAREWELL_MS);
    await Promise.race([Promise.all(this.#handling), overdue.promise]);
    clearTimeout(timer);
    this.close(CLOSE.sessionRevoked(end.reason));
  }
}

/** The credentials of `connection_init`, or else of the upgrade request. */
function presentedAtInit(
  payload: Readonly<Record<string, unknown>> | undefined,
  request: IncomingMessage,
  config: Config,
): PresentedToken | undefined {
  if (!payload || !Object.hasOwn(payload, "authorization")) return presentedToken(request, config);
  const { authorization } = payload;
  return { token: typeof authorization === "string" ? bearerToken(authorization) : "", by: "bearer" };
}
