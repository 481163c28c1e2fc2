import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import type { ExecutionArgs, GraphQLError } from "graphql";
import {
  handleProtocols,
  makeServer,
  type Context as ProtocolContext,
  type SubscribePayload,
} from "graphql-ws";
import type { Logger } from "pino";
import { type RawData, type WebSocket, WebSocketServer } from "ws";
import type { Config } from "../config.ts";
import type { Directory } from "../revocation/directory.ts";
import type { Lease } from "../revocation/lease.ts";
import type { Credentials } from "./context.ts";
import { bearerToken, type PresentedToken, presentedToken, resolveCredentials } from "./credentials.ts";
import { createErrorMask, unauthenticated } from "./errors.ts";
import type { GraphQLServer, TransportContext } from "./server.ts";

/** Close codes and reasons; `docs/protocol.md` says what each makes a client do. */
const CLOSE = {
  badRequest: [4400, "Invalid message received"],
  sessionRevoked: (reason: string) => [4401, `Session revoked: ${reason}`],
  authenticationRequired: [4403, "Authentication required"],
  restarting: [1012, "Service restart"],
  tryLater: [1013, "Try again later"],
} as const satisfies Record<
  string,
  readonly [number, string] | ((reason: string) => readonly [number, string])
>;

/** Larger messages are closed with 1009. */
const MAX_MESSAGE_BYTES = 65_536;
/** ws allows 131 072 fragments of nothing each; no honest client sends more than a few. */
const MAX_FRAGMENTS = 128;
const INIT_TIMEOUT_MS = 5_000;
const KEEP_ALIVE_MS = 12_000;
/** How long the last messages to a client whose session ended may take before the close is sent anyway. */
const FAREWELL_MS = 300;
/** A client has this long to answer a close; then TCP is cut. With the farewell it stays below one second. */
const TERMINATE_AFTER_MS = 600;

interface Extra {
  readonly request: IncomingMessage;
  readonly connection: Connection;
}

export interface WebSocketEndpoint {
  /** Takes over an upgrade request whose path and origin were accepted. */
  readonly upgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => void;
  /** Tells all clients to come back later: this node cannot say which sessions are still valid (P3). */
  readonly closeAllUntrusted: () => void;
  /** Closes for a restart: nobody is logged out, and nothing is completed, so clients come back (P7). */
  readonly drain: () => void;
  readonly connections: () => number;
}

export interface WebSocketRooms {
  readonly graphql: GraphQLServer;
  readonly directory: Directory;
  readonly config: Config;
  readonly log: Logger;
  /** Whether the node knows enough of the log to accept connections at all (P3). */
  readonly isTrusted: () => boolean;
}

/** GraphQL over WebSocket, by the protocol graphql-transport-ws only. */
export function createWebSocketEndpoint(rooms: WebSocketRooms): WebSocketEndpoint {
  const { graphql, log } = rooms;
  const maskError = createErrorMask(log);
  const connections = new Set<Connection>();

  const sockets = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    maxPayload: MAX_MESSAGE_BYTES,
    maxFragments: MAX_FRAGMENTS,
    perMessageDeflate: false,
    handleProtocols: (protocols) => handleProtocols(protocols),
  });

  const protocol = makeServer<Record<string, unknown>, Extra>({
    connectionInitWaitTimeout: INIT_TIMEOUT_MS,
    async onConnect(context) {
      const { connection } = context.extra;
      // Thrown, an error would become 4500, after which a client never returns: that must not log anybody off.
      try {
        await connection.authenticate(rooms, context);
      } catch (error) {
        maskError(error);
        connection.close(CLOSE.tryLater);
      }
      if (connection.lease?.ended) connection.close(CLOSE.sessionRevoked(connection.lease.ended.reason));
      // `false` also closes, which after our own close does nothing.
      return connection.isServing;
    },
    async onSubscribe(context, _id, payload) {
      const { connection } = context.extra;
      // graphql-ws goes on handling messages of a socket that is closing: the lease decides, each time.
      if (!connection.isServing) return [unauthenticated(connection.lease?.ended)];
      try {
        return await prepareOperation(graphql, connection, payload);
      } catch (error) {
        // An operation's mistake is that operation's error; stock graphql-ws closes the socket with 4500.
        return [maskError(error)];
      }
    },
    execute: (args) => (args as PreparedOperation).rootValue.execute(args),
    subscribe: (args) => (args as PreparedOperation).rootValue.subscribe(args),
  });

  sockets.on("connection", (socket: WebSocket, request: IncomingMessage) => {
    const connection = new Connection(socket, request);
    connections.add(connection);
    socket.on("error", (error) => log.debug({ err: error }, "a client broke the WebSocket protocol"));
    const closed = protocol.opened(
      {
        protocol: socket.protocol,
        send: (data) => connection.send(data),
        close: (code = CLOSE.badRequest[0], reason = "") => connection.close([code, reason]),
        onMessage: (handle) => {
          socket.on("message", (data, isBinary) => {
            if (isBinary) return connection.close(CLOSE.badRequest);
            connection.handling(handle(text(data)), (error) => {
              maskError(error);
              connection.close(CLOSE.tryLater);
            });
          });
        },
      },
      { request, connection },
    );
    const stopKeepAlive = keepAlive(socket, () => connection.close(CLOSE.tryLater));
    socket.once("close", (code, reason) => {
      stopKeepAlive();
      connections.delete(connection);
      connection.release();
      closed(code, String(reason)).catch(maskError);
    });
  });

  return {
    upgrade(request, socket, head) {
      sockets.handleUpgrade(request, socket, head, (client) => sockets.emit("connection", client, request));
    },
    closeAllUntrusted() {
      for (const connection of connections) connection.close(CLOSE.tryLater);
    },
    drain() {
      for (const connection of connections) connection.close(CLOSE.restarting);
    },
    connections: () => connections.size,
  };
}

/** One client's socket, with the lease that it lives by. */
class Connection {
  lease: Lease | undefined;
  readonly #socket: WebSocket;
  readonly #request: IncomingMessage;
  readonly #handling = new Set<Promise<void>>();
  #isClosing = false;

  constructor(socket: WebSocket, request: IncomingMessage) {
    this.#socket = socket;
    this.#request = request;
  }

  get request(): IncomingMessage {
    return this.#request;
  }

  /** Whether operations are run for it. */
  get isServing(): boolean {
    return !this.#isClosing && this.lease !== undefined && this.lease.ended === undefined;
  }

  get credentials(): Credentials {
    return this.lease ? { kind: "live", lease: this.lease } : { kind: "anonymous" };
  }

  /** Finds the session of the credentials and takes a lease on it for the connection's life, or closes. */
  async authenticate(
    { directory, config, isTrusted }: WebSocketRooms,
    context: ProtocolContext<Record<string, unknown>, Extra>,
  ): Promise<void> {
    const deadline = setTimeout(() => this.close(CLOSE.tryLater), INIT_TIMEOUT_MS);
    try {
      const presented = presentedAtInit(context, this.#request, config);
      const credentials = await resolveCredentials(directory, presented, "connect");
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

  release(): void {
    this.#isClosing = true;
    this.lease?.release();
  }

  /**
   * The session ended. Subscribers get their event and every operation its `complete`, because a client that
   * has nothing left to wait for does not come back; then the close says why.
   */
  async #sayFarewell(): Promise<void> {
    const end = this.lease?.ended;
    if (!end || this.#isClosing) return;
    const overdue = Promise.withResolvers<void>();
    const timer = setTimeout(overdue.resolve, FAREWELL_MS);
    await Promise.race([Promise.all(this.#handling), overdue.promise]);
    clearTimeout(timer);
    this.close(CLOSE.sessionRevoked(end.reason));
  }
}

type PreparedOperation = ExecutionArgs & {
  readonly rootValue: Pick<ReturnType<GraphQLServer["getEnveloped"]>, "execute" | "subscribe">;
};

/** Runs an operation through the same plugins as HTTP, as Yoga documents for graphql-ws. */
async function prepareOperation(
  graphql: GraphQLServer,
  connection: Connection,
  payload: SubscribePayload,
): Promise<PreparedOperation | readonly GraphQLError[]> {
  const transport: TransportContext = { req: connection.request, credentials: connection.credentials };
  const enveloped = graphql.getEnveloped({ ...transport, params: payload });
  const document = enveloped.parse(payload.query);
  const errors: readonly GraphQLError[] = enveloped.validate(enveloped.schema, document);
  if (errors.length > 0) return errors;
  return {
    schema: enveloped.schema,
    document,
    operationName: payload.operationName ?? null,
    variableValues: payload.variables ?? null,
    contextValue: await enveloped.contextFactory(),
    rootValue: { execute: enveloped.execute, subscribe: enveloped.subscribe },
  };
}

/** The credentials of `connection_init`, or else of the upgrade request. */
function presentedAtInit(
  { connectionParams }: ProtocolContext<Record<string, unknown>, Extra>,
  request: IncomingMessage,
  config: Config,
): PresentedToken | undefined {
  if (!connectionParams || !Object.hasOwn(connectionParams, "authorization")) {
    return presentedToken(request, config);
  }
  const { authorization } = connectionParams;
  return { token: typeof authorization === "string" ? bearerToken(authorization) : "", by: "bearer" };
}

function text(data: RawData): string {
  return Array.isArray(data) ? Buffer.concat(data).toString() : data.toString();
}

/** Pings. A peer that missed one does not read, or is gone, however its TCP connection looks. */
function keepAlive(socket: WebSocket, onSilence: () => void): () => void {
  let isAlive = true;
  socket.on("pong", () => {
    isAlive = true;
  });
  const timer = setInterval(() => {
    if (!isAlive) return onSilence();
    isAlive = false;
    socket.ping();
  }, KEEP_ALIVE_MS);
  return () => clearInterval(timer);
}
