import { randomInt } from "node:crypto";
import type { IncomingMessage } from "node:http";
import process from "node:process";
import type { Duplex } from "node:stream";
import type { WebSocket } from "ws";
import type { Config } from "../config.ts";
import { isFromBrowser, requestIdOf, requestOrigin } from "../http/request-origin.ts";
import type { Lease, LeaseHolder } from "../revocation/lease.ts";
import type { Origin } from "../sessions/login.ts";
import type { Credentials } from "./context.ts";
import {
  bearerToken,
  type CredentialRooms,
  type PresentedToken,
  presentedToken,
  resolveCredentials,
} from "./credentials.ts";
import { MessageMeter } from "./socket-limits.ts";

/** Close codes and reasons; `docs/protocol.md` says what each makes a client do. */
export const CLOSE = {
  badRequest: [4400, "Invalid message received"],
  sessionRevoked: (reason: string) => [4401, `Session revoked: ${reason}`],
  authenticationRequired: [4403, "Authentication required"],
  initTimeout: [4408, "Connection initialisation timeout"],
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
/** From here on whoever sends more waits until the client has read: a subscription is not to run ahead of it. */
const UNHURRIED_BYTES = 16_384;
const SENT = Promise.resolve();

export interface ConnectionRooms extends Omit<CredentialRooms, "unusualActivity"> {
  readonly config: Config;
  /** Whether the node knows enough of the log to accept connections at all (P3). */
  readonly isTrusted: () => boolean;
}

/** What is called when a connection's message cannot be handled. */
type OnFailure = (error: unknown, connection: Connection) => void;

/**
 * One client's socket, with the lease that it lives by. Thousands are open at once, so each holds no more than it needs: no
 * request, no timer, no closures of its own.
 */
export class Connection implements LeaseHolder {
  readonly protocol: string;
  readonly isBrowser: boolean;
  readonly origin: Origin;
  readonly requestId: string;
  /** Where it counts as one more. */
  readonly network: string;
  readonly meter = new MessageMeter();
  /** By `performance.now()`. */
  readonly openedAt = performance.now();
  /** It has not said `connection_init` yet. */
  isSilent = true;
  /** Tells graphql-ws that the socket is closed. */
  onClosed: ((code: number, reason: string) => Promise<void>) | undefined;
  lease: Lease | undefined;
  presentedBy: PresentedToken["by"] | undefined;
  /** Whether it counts as one of its user's. */
  isCounted = false;
  /** Those that are pinged together with it. */
  pulseGroup: Set<Connection> | undefined;
  readonly #socket: WebSocket;
  /** What the socket writes to. */
  readonly #stream: Duplex;
  /** Until credentials were looked for in it. */
  #request: IncomingMessage | undefined;
  #handle: ((message: string) => Promise<void>) | undefined;
  /** How many messages are being handled. A subscription's is until it is over. */
  #handled = 0;
  #onIdle: (() => void) | undefined;
  #awaitedPong: number | undefined;
  #isClosing = false;

  constructor(
    { socket, stream }: { readonly socket: WebSocket; readonly stream: Duplex },
    request: IncomingMessage,
    { config, network }: { readonly config: Config; readonly network: string },
  ) {
    this.#socket = socket;
    this.#stream = stream;
    this.#request = request;
    this.protocol = socket.protocol;
    this.isBrowser = isFromBrowser(request);
    this.origin = requestOrigin(request, config);
    // A UUID as Node makes it is a rope of fourteen pieces, of which this makes one.
    this.requestId = Buffer.from(requestIdOf(request, config)).toString();
    this.network = network;
  }

  /** Whether it was told to close: nothing that it still sends is looked at. */
  get isClosing(): boolean {
    return this.#isClosing;
  }

  /** Whether operations are run for it. */
  get isServing(): boolean {
    return !this.#isClosing && this.lease !== undefined && !this.lease.isOver;
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
    const deadline = setTimeout(() => this.close(...CLOSE.tryLater), INIT_TIMEOUT_MS);
    const { config, isTrusted } = rooms;
    try {
      const presented = this.#request && presentedAtInit(payload, this.#request, config);
      this.#request = undefined;
      this.presentedBy = presented?.by;
      const credentials = await resolveCredentials(
        { ...rooms, unusualActivity: config.unusualActivity },
        presented,
        this.origin,
        "connect",
      );
      // The client has the new token by now, or will when it comes back.
      if (credentials.kind === "rotated") return this.close(...CLOSE.tryLater);
      if (credentials.kind === "anonymous") return this.close(...CLOSE.authenticationRequired);
      if (credentials.kind === "ended") return this.close(...CLOSE.sessionRevoked(credentials.end.reason));
      const { lease } = credentials;
      // The lease is registered before anything else is decided: an end from now on is heard, or seen below.
      this.lease = lease;
      lease.tellOver(this);
      if (this.#isClosing) return this.release();
      if (!isTrusted()) return this.close(...CLOSE.tryLater);
      lease.markConnected();
    } finally {
      clearTimeout(deadline);
    }
  }

  onMessage(handle: (message: string) => Promise<void>): void {
    this.#handle = handle;
  }

  /** Handles a message. What is handled is remembered, so that its last answers go out before a farewell's close. */
  async receive(message: string, onFailure: OnFailure): Promise<void> {
    this.#handled += 1;
    try {
      await this.#handle?.(message);
    } catch (error) {
      onFailure(error, this);
    }
    this.#handled -= 1;
    if (this.#handled === 0) this.#onIdle?.();
  }

  /** Resolves once there is room for more. */
  send(data: string): Promise<void> {
    const { bufferedAmount } = this.#socket;
    // What is meant for a client that asks and does not read would fill the memory of all.
    if (bufferedAmount > MAX_BUFFERED_BYTES) this.close(...CLOSE.tryLater);
    if (this.#socket.readyState !== this.#socket.OPEN) return SENT;
    if (bufferedAmount < UNHURRIED_BYTES) {
      this.#socket.send(data);
      return SENT;
    }
    return new Promise((resolve) => {
      // A failed send means that the socket is gone, which "close" tells.
      this.#socket.send(data, () => resolve());
    });
  }

  /** Pings the client. A peer that missed the last ping does not read, or is gone, however its TCP connection looks. */
  ping(): void {
    if (this.#awaitedPong === undefined) {
      // The answer has to repeat a number, so that nobody can give it who has not read the question.
      this.#awaitedPong = randomInt(1_000_000_000);
      this.#socket.ping(String(this.#awaitedPong));
    } else {
      this.close(...CLOSE.tryLater);
    }
  }

  pong(answer: string): void {
    if (answer === String(this.#awaitedPong)) this.#awaitedPong = undefined;
  }

  close(code: number, reason: string): void {
    if (this.#isClosing) return;
    this.#isClosing = true;
    this.#socket.close(code, reason);
    // A close frame is not the end: a client may never answer it, and go on sending.
    setTimeout(() => this.#socket.terminate(), TERMINATE_AFTER_MS).unref();
  }

  release(): void {
    this.#isClosing = true;
    // The session goes on, and would hold on to every connection that it ever had.
    this.lease?.forgetHolder(this);
    this.lease?.release();
  }

  /** Called by its lease. */
  onOver(): void {
    // What is said in this turn, the event, its `complete` and the close, goes out as one: mostly thousands leave at once.
    this.#stream.cork();
    process.nextTick(uncork, this.#stream);
    void this.#sayFarewell();
  }

  /**
   * The session ended. Subscribers get their event and every operation its `complete`, because a client that
   * has nothing left to wait for does not come back; then the close says why.
   */
  async #sayFarewell(): Promise<void> {
    if (this.#isClosing) return;
    const end = this.lease?.ended;
    // A lost session says nothing to complete: the client is to come back, and is told then what there is to tell.
    if (!end) return this.close(...CLOSE.tryLater);
    if (this.#handled > 0) {
      const idle = Promise.withResolvers<void>();
      this.#onIdle = idle.resolve;
      const timer = setTimeout(idle.resolve, FAREWELL_MS);
      await idle.promise;
      clearTimeout(timer);
    }
    this.close(...CLOSE.sessionRevoked(end.reason));
  }
}

function uncork(stream: Duplex): void {
  stream.uncork();
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
