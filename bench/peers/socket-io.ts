import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import process from "node:process";
import { createAdapter } from "@socket.io/postgres-adapter";
import pg from "pg";
import { Server } from "socket.io";
import { now } from "../kit/clock.ts";
import { offer } from "../kit/offer.ts";

// Socket.IO as its documentation shows it; with DATABASE_URL, with its PostgreSQL adapter. Each client is in the room of its session.

const url = process.env["DATABASE_URL"];
const http = createServer();
const io = new Server(http, { transports: ["websocket"], serveClient: false });
if (url) {
  const pool = new pg.Pool({ connectionString: url, max: 10 });
  await pool.query(
    `CREATE TABLE IF NOT EXISTS socket_io_attachments
       (id bigserial UNIQUE, created_at timestamptz DEFAULT now(), payload bytea)`,
  );
  io.adapter(createAdapter(pool));
}
io.on("connection", (socket) => {
  const { session } = socket.handshake.auth as { session: string };
  if (session) void socket.join(session);
});
http.listen(0, "127.0.0.1");
await once(http, "listening");
offer(`http://127.0.0.1:${(http.address() as AddressInfo).port}`, {
  /** What an application writes to log somebody out: tell them, and cut them off. Resolves with the time of it. */
  revoke(session: string) {
    const at = now();
    io.to(session).emit("sessionRevoked", { reason: "revoked" });
    io.in(session).disconnectSockets(true);
    return at;
  },
});
