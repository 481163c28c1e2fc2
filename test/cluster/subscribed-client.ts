import WebSocket from "ws";
import type { History, SocketLife } from "./history.ts";

const QUERY = "{ viewer { id } }";
const SUBSCRIPTION = "subscription { sessionRevoked { reason current } }";

/** The ids of operations on the wire. What comes after the subscription shows that the server has it. */
export const SUBSCRIPTION_ID = "subscription";
const PROBE_ID = "probe";

export interface Subject {
  readonly sessionId: string;
  readonly userId: string;
  readonly token: string;
}

interface Message {
  readonly type: string;
  readonly id?: string;
  readonly payload?: {
    readonly data?: {
      readonly viewer?: { readonly id: string } | null;
      readonly sessionRevoked?: { readonly reason: string };
    };
    readonly errors?: readonly { readonly extensions?: Record<string, unknown> }[];
  };
}

export interface ConnectionOptions {
  readonly url: string;
  readonly node: number;
  readonly subject: Subject;
  /** Asks this often over the socket. A stubborn client goes on after it was told to go, until TCP ends. */
  readonly queryEveryMs: number;
  readonly isStubborn: boolean;
  readonly now: () => number;
}

/**
 * One connection of a client that follows the end of its session, from the first packet to the last, all of it in
 * the history. `cut` ends it without a word.
 */
export function connectSubscriber(
  options: ConnectionOptions,
  history: History,
): { readonly closed: Promise<SocketLife>; readonly cut: () => void } {
  const { url, node, subject, now } = options;
  const { sessionId } = subject;
  const invoke = now();
  const told: { at: number; reason: string }[] = [];
  const asked = new Map<string, number>();
  const closed = Promise.withResolvers<SocketLife>();
  let subscribedAt: number | undefined;
  let isAcknowledged = false;
  let isCompleted = false;
  let asking: NodeJS.Timeout | undefined;
  let count = 0;

  // A stubborn client never answers the close frame, so what it is told comes only with TCP's end.
  const socket = new WebSocket(`${url.replace("http", "ws")}/graphql`, "graphql-transport-ws", {
    handshakeTimeout: 3_000,
    skipUTF8Validation: true,
  });
  let farewell: { readonly code: number; readonly reason: string } | undefined;
  if (options.isStubborn)
    ignoreCloses(socket, (code, reason) => {
      farewell = { code, reason };
    });

  const send = (message: unknown) => {
    if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message), () => {});
  };
  const ask = () => {
    const id = `query ${count++}`;
    asked.set(id, now());
    send({ id, type: "subscribe", payload: { query: QUERY } });
  };

  function operation(
    kind: "connect" | "socketQuery",
    begun: number,
    outcome: "ok" | "ended",
    reason?: string,
  ) {
    history.operations.push({ kind, node, sessionId, invoke: begun, complete: now(), outcome, reason });
  }

  socket.on("open", () =>
    send({ type: "connection_init", payload: { authorization: `Bearer ${subject.token}` } }),
  );
  socket.on("message", (data) => {
    const { type, id = "", payload } = JSON.parse(String(data)) as Message;
    if (type === "ping") return send({ type: "pong" });
    if (type === "connection_ack") {
      isAcknowledged = true;
      operation("connect", invoke, "ok");
      send({ id: SUBSCRIPTION_ID, type: "subscribe", payload: { query: SUBSCRIPTION } });
      send({ id: PROBE_ID, type: "subscribe", payload: { query: "{ __typename }" } });
      asking = setInterval(ask, options.queryEveryMs);
      return;
    }
    if (type === "complete" && id === SUBSCRIPTION_ID) isCompleted = true;
    if (type !== "next") return;
    if (id === PROBE_ID && payload?.data) subscribedAt = now();
    const revoked = payload?.data?.sessionRevoked;
    if (id === SUBSCRIPTION_ID && revoked) told.push({ at: now(), reason: revoked.reason });
    const begun = asked.get(id);
    if (begun !== undefined && payload?.data?.viewer?.id === subject.userId)
      operation("socketQuery", begun, "ok");
  });
  socket.on("error", () => {});
  socket.on("close", (code, reason) => {
    clearInterval(asking);
    const life: SocketLife = {
      sessionId,
      node,
      subscribedAt,
      told,
      isCompleted,
      closedAt: now(),
      code: farewell?.code ?? code,
      reason: farewell?.reason ?? String(reason),
    };
    history.sockets.push(life);
    if (!isAcknowledged && life.code === 4401) {
      operation("connect", invoke, "ended", life.reason.replace("Session revoked: ", ""));
    }
    closed.resolve(life);
  });
  return { closed: closed.promise, cut: () => socket.terminate() };
}

/** Makes a client of the library behave like one that no library would write. */
function ignoreCloses(socket: WebSocket, onClose: (code: number, reason: string) => void): void {
  socket.on("upgrade", () => {
    // The receiver is there once the handshake is over; its "conclude" is what would answer the close frame.
    setImmediate(() => {
      const receiver: unknown = Reflect.get(socket, "_receiver");
      if (!(receiver instanceof Object) || !("removeAllListeners" in receiver) || !("on" in receiver)) {
        throw new Error("ws has changed: a stubborn client cannot be made of it any more");
      }
      (receiver as NodeJS.EventEmitter).removeAllListeners("conclude");
      (receiver as NodeJS.EventEmitter).on("conclude", (code: number, reason: Buffer) =>
        onClose(code, String(reason)),
      );
    });
  });
}
