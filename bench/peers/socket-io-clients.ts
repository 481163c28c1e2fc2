import { io, type Socket } from "socket.io-client";
import { now } from "../kit/clock.ts";
import { offer } from "../kit/offer.ts";
import type { Closed, Opening } from "../kit/sockets.ts";

// The same as ../kit/sockets.ts with Socket.IO's own client. A token is the session that a client belongs to.

const OPENED_AT_ONCE = 100;

const held: { readonly closed: Promise<Closed> }[] = [];

async function open({ url, tokens }: Opening): Promise<void> {
  const first = held.length;
  const rest = tokens.entries();
  await Promise.all(
    Array.from({ length: OPENED_AT_ONCE }, async () => {
      for (const [index, session] of rest) held[first + index] = await openOne(new URL(url).origin, session);
    }),
  );
}

async function openOne(url: string, session: string): Promise<{ readonly closed: Promise<Closed> }> {
  const options = { transports: ["websocket"], forceNew: true, reconnection: false, auth: { session } };
  const socket: Socket = io(url, options);
  await new Promise<void>((resolve, reject) => {
    socket.once("connect", resolve);
    socket.once("connect_error", reject);
  });
  let wasTold = false;
  socket.on("sessionRevoked", () => {
    wasTold = true;
  });
  return {
    closed: new Promise((resolve) => {
      // Its own "disconnect" is told by a message before; here as everywhere counts that the WebSocket is closed.
      socket.io.engine.once("close", () => resolve({ at: now(), wasTold }));
    }),
  };
}

offer("", {
  open,
  closed: (index: number) => held[index]?.closed,
  allClosed: () => Promise.all(held.map(({ closed }) => closed)),
});
