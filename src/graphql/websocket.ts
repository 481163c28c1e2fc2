import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { setTimeout as pause } from "node:timers/promises";
import type { DocumentNode, ExecutionArgs, GraphQLError } from "graphql";
import { handleProtocols, makeServer, type SubscribePayload } from "graphql-ws";
import type { Logger } from "pino";
import { type RawData, WebSocket, WebSocketServer } from "ws";
import { clientAddress } from "../http/request-origin.ts";
import { withRequestId } from "../log.ts";
import { networkOf, ONE_CLIENT } from "../users/network.ts";
import { CLOSE, Connection, type ConnectionRooms } from "./connection.ts";
import type { Rooms } from "./context.ts";
import { createErrorMask, unauthenticated } from "./errors.ts";
import { createPulse } from "./pulse.ts";
import type { GraphQLServer } from "./server.ts";
import { createQuota, MAX_OPERATIONS, tooManyOperations } from "./socket-limits.ts";
import { documentIdOf, type TrustedDocuments } from "./trusted-documents.ts";
import { createWaitingOperations } from "./waiting-clients.ts";

/** Larger messages are closed with 1009. */
const MAX_MESSAGE_BYTES = 65_536;
/** ws allows 131 072 fragments of nothing each; no honest client sends more than a few. */
const MAX_FRAGMENTS = 128;
/** A node that stops closes one socket in this time, as long as it has time enough. */
const DRAIN_PACE_MS = 2;

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
  /** What resolvers may use. */
  readonly operations: Rooms;
  readonly graphql: GraphQLServer;
  /** Undefined: any document is run. */
  readonly trusted: TrustedDocuments | undefined;
  readonly log: Logger;
}

/** A socket that knows whose it is, so that its listeners can be the same functions for all. */
class ClientSocket extends WebSocket {
  connection: Connection | undefined;
}

/** GraphQL over WebSocket, by the protocol graphql-transport-ws only. */
export function createWebSocketEndpoint(rooms: WebSocketRooms): WebSocketEndpoint {
  const { graphql, log } = rooms;
  const maskError = createErrorMask(log);
  const connections = new Set<Connection>();
  const { config } = rooms;
  const byNetwork = createQuota(config.socketsPerAddress);
  const byUser = createQuota(config.socketsPerUser);
  const waitingOperation = createWaitingOperations(rooms.operations);
  const pulse = createPulse();
  let isDraining = false;

  const sockets = new WebSocketServer<typeof ClientSocket>({
    WebSocket: ClientSocket,
    noServer: true,
    clientTracking: false,
    maxPayload: MAX_MESSAGE_BYTES,
    maxFragments: MAX_FRAGMENTS,
    perMessageDeflate: false,
    handleProtocols: (protocols) => handleProtocols(protocols),
  });

  const protocol = makeServer<Record<string, unknown>, Connection>({
    // Its timer would be kept for as long as the socket: the pulse does it.
    connectionInitWaitTimeout: 0,
    async onConnect(context) {
      const { extra: connection, connectionParams } = context;
      connection.isSilent = false;
      // It holds the token, which nobody needs any more.
      (context as { connectionParams?: unknown }).connectionParams = undefined;
      // Thrown, an error would become 4500, after which a client never returns: that must not log anybody off.
      try {
        await connection.authenticate(rooms, connectionParams);
      } catch (error) {
        maskError(error);
        connection.close(...CLOSE.tryLater);
      }
      const { lease } = connection;
      if (lease?.ended) connection.close(...CLOSE.sessionRevoked(lease.ended.reason));
      if (lease?.isLost) connection.close(...CLOSE.tryLater);
      if (connection.isServing && lease) {
        connection.isCounted = byUser.take(lease.current.user.id);
        if (!connection.isCounted) connection.close(...CLOSE.tryLater);
      }
      // `false` also closes, which after our own close does nothing.
      return connection.isServing;
    },
    async onSubscribe({ extra: connection, subscriptions }, _id, payload) {
      // graphql-ws itself handles the messages of a socket that is closing: the lease decides, each time.
      if (!connection.isServing) return [unauthenticated(connection.lease?.ended)];
      // Its own is among them already.
      if (Object.keys(subscriptions).length > MAX_OPERATIONS) return [tooManyOperations()];
      connection.lease?.markUsed();
      try {
        // The protocol wants a text: where a document is named by its id, it is empty.
        const query = payload.query || (rooms.trusted?.find(documentIdOf({ ...payload }) ?? "") ?? "");
        return await prepareOperation(connection, { ...payload, query });
      } catch (error) {
        // An operation's mistake is that operation's error; stock graphql-ws closes the socket with 4500.
        return [maskError(error)];
      } finally {
        // graphql-ws keeps the payload as long as a subscription lasts. The document is known by now.
        (payload as { query: string }).query = "";
      }
    },
    execute: (args) => (args as PreparedOperation).rootValue.execute(args),
    subscribe: (args) => (args as PreparedOperation).rootValue.subscribe(args),
  });

  /** Runs an operation through the same plugins as HTTP, as Yoga documents for graphql-ws. */
  async function prepareOperation(
    connection: Connection,
    payload: SubscribePayload,
  ): Promise<PreparedOperation | readonly GraphQLError[]> {
    const enveloped = graphql.getEnveloped({ connection, params: payload });
    const { schema } = enveloped;
    const document: DocumentNode = enveloped.parse(payload.query);
    const errors: readonly GraphQLError[] = enveloped.validate(schema, document);
    if (errors.length > 0) return errors;
    const waiting = waitingOperation({ schema, document });
    const operationName = payload.operationName ?? null;
    if (waiting) return { schema, document, operationName, contextValue: connection, rootValue: waiting };
    return {
      schema,
      document,
      operationName,
      variableValues: payload.variables ?? null,
      contextValue: await enveloped.contextFactory(),
      rootValue: { execute: enveloped.execute, subscribe: enveloped.subscribe },
    };
  }

  function begin(
    { socket, stream }: { readonly socket: ClientSocket; readonly stream: Duplex },
    request: IncomingMessage,
    network: string,
  ): void {
    const connection = new Connection({ socket, stream }, request, { config, network });
    socket.connection = connection;
    connections.add(connection);
    connection.onClosed = protocol.opened(connection, connection);
    socket
      .on("error", onError)
      .on("message", onMessage)
      .on("ping", onPing)
      .on("pong", onPong)
      .on("close", onClose);
    pulse.add(connection);
    // Not refused before the upgrade: the stock client takes a failed upgrade for final.
    if (isDraining) connection.close(...CLOSE.restarting);
    if (connections.size > config.sockets) connection.close(...CLOSE.tryLater);
  }

  // Each of these is there once, not for each socket.
  function onError(error: Error): void {
    log.debug({ err: error }, "a client broke the WebSocket protocol");
  }

  function onMessage(this: WebSocket, data: RawData, isBinary: boolean): void {
    const { connection } = this as ClientSocket;
    if (!connection || connection.isClosing) return;
    if (!connection.meter.count(performance.now())) connection.close(...CLOSE.tooManyMessages);
    else if (isBinary) connection.close(...CLOSE.badRequest);
    else void withRequestId(connection.requestId, () => connection.receive(text(data), onFailure));
  }

  function onFailure(error: unknown, connection: Connection): void {
    if (isOfServersKind(error)) {
      connection.close(...CLOSE.badRequest);
    } else {
      maskError(error);
      connection.close(...CLOSE.tryLater);
    }
  }

  // ws answers by itself, and cuts off whoever does not wait for its answers.
  function onPing(this: WebSocket): void {
    const { connection } = this as ClientSocket;
    if (!connection?.meter.count(performance.now())) connection?.close(...CLOSE.tooManyMessages);
  }

  function onClose(this: WebSocket, code: number, reason: Buffer): void {
    const { connection } = this as ClientSocket;
    if (!connection) return;
    connections.delete(connection);
    pulse.forget(connection);
    byNetwork.giveBack(connection.network);
    if (connection.isCounted && connection.lease) byUser.giveBack(connection.lease.current.user.id);
    connection.release();
    connection.onClosed?.(code, String(reason)).catch(maskError);
  }

  function onPong(this: WebSocket, answer: Buffer): void {
    (this as ClientSocket).connection?.pong(String(answer));
  }

  return {
    count: () => connections.size,
    upgrade(request, stream, head) {
      // Of so many of one address no socket is made: it is a flood, or a setting that is too low.
      const network = networkOf(clientAddress(request, config) ?? "", ONE_CLIENT);
      if (!byNetwork.take(network)) {
        stream.end(
          "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 5\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        );
        return;
      }
      let socket: ClientSocket | undefined;
      sockets.handleUpgrade(request, stream, head, (upgraded) => {
        socket = upgraded;
      });
      // Otherwise ws has refused it, and answered.
      if (socket) begin({ socket, stream }, request, network);
      else byNetwork.giveBack(network);
    },
    closeAllUntrusted() {
      for (const connection of connections) connection.close(...CLOSE.tryLater);
    },
    async drain(withinMs) {
      isDraining = true;
      const all = [...connections];
      const paceMs = Math.min(withinMs / all.length, DRAIN_PACE_MS);
      await Promise.all(
        all.map(async (connection, index) => {
          await pause(index * paceMs);
          connection.close(...CLOSE.restarting);
        }),
      );
    },
  };
}

type PreparedOperation = ExecutionArgs & {
  readonly rootValue: Pick<ReturnType<GraphQLServer["getEnveloped"]>, "execute" | "subscribe">;
};

/** Whether a client sent what only servers send, such as `next`: graphql-ws has no other answer to it than to throw. */
function isOfServersKind(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith("Unexpected message of type ");
}

function text(data: RawData): string {
  return Array.isArray(data) ? Buffer.concat(data).toString() : data.toString();
}
