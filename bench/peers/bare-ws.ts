import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { type WebSocket, WebSocketServer } from "ws";
import { now } from "../kit/clock.ts";
import { offer } from "../kit/offer.ts";

// The least that a WebSocket costs: ws alone, which remembers its clients, tells them and closes them.

const server = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate: false });
await once(server, "listening");
offer(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, {
  /** Resolves with the time at which it began. */
  closeAll() {
    const at = now();
    const text = JSON.stringify({
      id: "1",
      type: "next",
      payload: { data: { sessionRevoked: { reason: "revoked" } } },
    });
    for (const client of server.clients as Set<WebSocket>) {
      client.send(text);
      client.close(4401, "Session revoked: POLICY");
    }
    return at;
  },
});
