import { once } from "node:events";
import WebSocket from "ws";
import { now } from "./clock.ts";
import { offer } from "./offer.ts";

// A process that holds many WebSockets, and says when each was told and closed.

/**
 * How one gets a socket to where it waits: `graphql` subscribes to `sessionRevoked`, `acknowledged` only connects, `bare` speaks
 * no protocol. For Socket.IO there is ../peers/socket-io-clients.ts.
 */
export type Manner = "graphql" | "acknowledged" | "bare" | "socket.io";

export interface Opening {
  readonly url: string;
  readonly manner: Manner;
  /** One for each socket. */
  readonly tokens: readonly string[];
}

/** What became of a socket. */
export interface Closed {
  /** By `now` of ./clock.ts. */
  readonly at: number;
  /** Whether it was told of the revocation before. */
  readonly wasTold: boolean;
}

const OPENED_AT_ONCE = 100;
const SUBSCRIPTION = "subscription { sessionRevoked { reason message } }";

interface Held {
  readonly closed: Promise<Closed>;
}

const held: Held[] = [];

async function open({ url, manner, tokens }: Opening): Promise<void> {
  const first = held.length;
  const rest = tokens.entries();
  await Promise.all(
    Array.from({ length: OPENED_AT_ONCE }, async () => {
      for (const [index, token] of rest) held[first + index] = await openOne(url, manner, token);
    }),
  );
}

async function openOne(url: string, manner: Manner, token: string): Promise<Held> {
  const protocols = manner === "bare" ? [] : ["graphql-transport-ws"];
  const socket = new WebSocket(url.replace("http", "ws"), protocols, { perMessageDeflate: false });
  await once(socket, "open");
  if (manner !== "bare") {
    socket.send(JSON.stringify({ type: "connection_init", payload: { authorization: `Bearer ${token}` } }));
    await until(socket, '"connection_ack"');
  }
  if (manner === "graphql") {
    socket.send(JSON.stringify({ id: "1", type: "subscribe", payload: { query: SUBSCRIPTION } }));
    // Its answer says that the subscription before it is there.
    socket.send(JSON.stringify({ id: "2", type: "subscribe", payload: { query: "{ __typename }" } }));
    await until(socket, '"type":"complete"');
  }
  let wasTold = false;
  socket.on("message", (data) => {
    if (String(data).includes('"sessionRevoked"')) wasTold = true;
  });
  return { closed: once(socket, "close").then(() => ({ at: now(), wasTold })) };
}

/** Resolves with the first message that says this; rejects if there is none because the socket closes. */
function until(socket: WebSocket, sign: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const onClose = (code: number) => reject(new Error(`closed with ${code}`));
    const onMessage = (data: unknown) => {
      if (!String(data).includes(sign)) return;
      socket.off("message", onMessage);
      socket.off("close", onClose);
      resolve();
    };
    socket.on("message", onMessage);
    socket.on("close", onClose);
  });
}

offer("", {
  open,
  /** Resolves when this one is closed; they are counted in the order in which they were opened. */
  closed: (index: number) => held[index]?.closed,
  allClosed: () => Promise.all(held.map(({ closed }) => closed)),
});
