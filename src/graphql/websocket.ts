import { randomInt } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { setTimeout as pause } from "node:timers/promises";
import type { ExecutionArgs, GraphQLError } from "graphql";
import { handleProtocols, makeServer, type SubscribePayload } from "graphql-ws";
import type { Logger } from "pino";
import { type RawData, type WebSocket, WebSocketServer } from "ws";
import { clientAddress, requestIdOf } from "../http/request-origin.ts";
import { withRequestId } from "../log.ts";
import { networkOf, ONE_CLIENT } from "../users/network.ts";
import { CLOSE, Connection, type ConnectionRooms, INIT_TIMEOUT_MS } from "./connection.ts";
import { createErrorMask, unauthenticated } from "./errors.ts";
import type { GraphQLServer, TransportContext } from "./server.ts";
import { createMessageMeter, createQuota, MAX_OPERATIONS, tooManyOperations } from "./socket-limits.ts";
import { documentIdOf, type TrustedDocuments } from "./trusted-documents.ts";

/** Larger messages are closed with 1009. */
const MAX_MESSAGE_BYTES = 65_536;
/** ws allows 131 072 fragments of nothing each; no honest client sends more than a few. */
const MAX_FRAGMENTS = 128;
/** A node that stops closes one socket in this time, as long as it has time enough. */
const DRAIN_PACE_MS = 2;
/** How often a client is pinged; it has as long to answer. */
const KEEP_ALIVE_MS = 12_000;

export interface WebSocketEndpoint {
  /** How many sockets are open. */
  readonly count: () => number;
  /** Takes over an upgrade request whose path and origin were accepted. */
  readonly upgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => void;
  /** Tells all clients to come back later: this node cannot say which sessions are still valid (P3). */
  readonly closeAllUntrusted: () => void;
  /**
   * Closes for a restart: nobody is logged out, and nothing is completed, so clients come back (P7). Not all at
   * once, so that they do not come to the other nodes all at once; but within `withinMs`.
   */
  readonly drain: (withinMs: number) => Promise<void>;
}

interface WebSocketRooms extends ConnectionRooms {
  readonly graphql: GraphQLServer;
  /** Undefined: any document is run. */
  readonly trusted: TrustedDocuments | undefined;
  readonly log: Logger;
}

/** GraphQL over WebSocket, by the protocol graphql-transport-ws only. */
export function createWebSocketEndpoint(rooms: WebSocketRooms): WebSocketEndpoint {
  const { graphql, log } = rooms;
  const maskError = createErrorMask(log);
  const connections = new Set<Connection>();
  const { config } = rooms;
  const byNetwork = createQuota(config.socketsPerAddress);
  const byUser = createQuota(config.socketsPerUser);
  let isDraining = false;

  const sockets = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    maxPayload: MAX_MESSAGE_BYTES,
    maxFragments: MAX_FRAGMENTS,
    perMessageDeflate: false,
    handleProtocols: (protocols) => handleProtocols(protocols),
  });

  const protocol = makeServer<Record<string, unknown>, { readonly connection: Connection }>({
    connectionInitWaitTimeout: INIT_TIMEOUT_MS,
    async onConnect(context) {
      const { connection } = context.extra;
      // Thrown, an error would become 4500, after which a client never returns: that must not log anybody off.
      try {
        await connection.authenticate(rooms, context.connectionParams);
      } catch (error) {
        maskError(error);
        connection.close(CLOSE.tryLater);
      }
      if (connection.lease?.ended) connection.close(CLOSE.sessionRevoked(connection.lease.ended.reason));
      if (connection.lease?.isLost) connection.close(CLOSE.tryLater);
      if (
        connection.isServing &&
        connection.lease &&
        !connection.onRelease(byUser.take(connection.lease.current.user.id))
      ) {
        connection.close(CLOSE.tryLater);
      }
      // `false` also closes, which after our own close does nothing.
      return connection.isServing;
    },
    async onSubscribe(context, _id, payload) {
      const { connection } = context.extra;
      // graphql-ws itself handles the messages of a socket that is closing: the lease decides, each time.
      if (!connection.isServing) return [unauthenticated(connection.lease?.ended)];
      // Its own is among them already.
      if (Object.keys(context.subscriptions).length > MAX_OPERATIONS) return [tooManyOperations()];
      connection.lease?.markUsed();
      try {
        // The protocol wants a text: where a document is named by its id, it is empty.
        const query = payload.query || (rooms.trusted?.find(documentIdOf({ ...payload }) ?? "") ?? "");
        return await prepareOperation(graphql, connection, { ...payload, query });
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
    const requestId = requestIdOf(request, config);
    connections.add(connection);
    const isWithinRate = createMessageMeter();
    socket.on("error", (error) => log.debug({ err: error }, "a client broke the WebSocket protocol"));
    // ws answers by itself, and cuts off whoever does not wait for its answers.
    socket.on("ping", () => {
      if (!isWithinRate()) connection.close(CLOSE.tooManyMessages);
    });
    const closed = protocol.opened(
      {
        protocol: socket.protocol,
        send: (data) => connection.send(data),
        close: (code = CLOSE.badRequest[0], reason = "") => connection.close([code, reason]),
        onMessage: (handle) => {
          socket.on("message", (data, isBinary) => {
            if (connection.isClosing) return;
            if (!isWithinRate()) return connection.close(CLOSE.tooManyMessages);
            if (isBinary) return connection.close(CLOSE.badRequest);
            connection.handling(
              withRequestId(requestId, () => handle(text(data))),
              (error) => {
                if (isOfServersKind(error)) return connection.close(CLOSE.badRequest);
                maskError(error);
                connection.close(CLOSE.tryLater);
              },
            );
          });
        },
      },
      { connection },
    );
    // Not refused before the upgrade: the stock client takes a failed upgrade for final.
    if (isDraining) connection.close(CLOSE.restarting);
    if (connections.size > config.sockets) connection.close(CLOSE.tryLater);
    const stopKeepAlive = keepAlive(socket, () => connection.close(CLOSE.tryLater));
    socket.once("close", (code, reason) => {
      stopKeepAlive();
      connections.delete(connection);
      connection.release();
      closed(code, String(reason)).catch(maskError);
    });
  });

  return {
    count: () => connections.size,
    upgrade(request, socket, head) {
      // Of so many of one address no socket is made: it is a flood, or a setting that is too low.
      const leave = byNetwork.take(networkOf(clientAddress(request, config) ?? "", ONE_CLIENT));
      if (!leave) {
        socket.end(
          "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 5\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        );
        return;
      }
      socket.once("close", leave);
      sockets.handleUpgrade(request, socket, head, (client) => sockets.emit("connection", client, request));
    },
    closeAllUntrusted() {
      for (const connection of connections) connection.close(CLOSE.tryLater);
    },
    async drain(withinMs) {
      isDraining = true;
      const all = [...connections];
      const paceMs = Math.min(withinMs / all.length, DRAIN_PACE_MS);
      await Promise.all(
        all.map(async (connection, index) => {
          await pause(index * paceMs);
          connection.close(CLOSE.restarting);
        }),
      );
    },
  };
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
  const transport: TransportContext = { req: connection.request, connection };
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

/** Whether a client sent what only servers send, such as `next`: graphql-ws has no other answer to it than to throw. */
function isOfServersKind(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith("Unexpected message of type ");
}

function text(data: RawData): string {
  return Array.isArray(data) ? Buffer.concat(data).toString() : data.toString();
}

/**
 * Pings. A peer that missed one does not read, or is gone, however its TCP connection looks. The answer has to repeat a
 * number, so that nobody can give it who has not read the question.
 */
function keepAlive(socket: WebSocket, onSilence: () => void): () => void {
  let awaited: string | undefined;
  socket.on("pong", (data) => {
    if (String(data) === awaited) awaited = undefined;
  });
  const timer = setInterval(() => {
    if (awaited !== undefined) return onSilence();
    awaited = String(randomInt(1_000_000_000));
    socket.ping(awaited);
  }, KEEP_ALIVE_MS);
  return () => clearInterval(timer);
}
