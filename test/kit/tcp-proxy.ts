import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { Transform } from "node:stream";

/** What the path between two processes does to what is sent over it. */
export type PathState =
  | "open"
  /** Connections are reset, and new ones too. */
  | "refusing"
  /** Nothing arrives any more, in either direction, and nobody is told: a half-open connection. */
  | "silent"
  /** What the server says does not arrive; what the client says does. */
  | "deaf"
  /** Everything arrives, later. */
  | "slow";

/** How much later on a slow path, in milliseconds. */
const SLOW_MS = 150;

/** A path over TCP that a test can cut, silence or slow down. Listens on the loopback interface. */
export interface TcpProxy {
  readonly port: number;
  readonly set: (state: PathState) => void;
  /** From now on new connections lead to this port; those that are open are reset. */
  readonly leadTo: (port: number) => void;
  readonly close: () => Promise<void>;
}

export async function startTcpProxy(targetPort: number): Promise<TcpProxy> {
  const sockets = new Set<Socket>();
  let state: PathState = "open";
  let target = targetPort;

  /** Passes on in order, each piece as late as the path is when it comes; or swallows it. */
  function path(isFromServer: boolean): Transform {
    let lastDue = 0;
    return new Transform({
      transform(chunk, _encoding, done) {
        if (state === "silent" || (state === "deaf" && isFromServer)) return done();
        const now = performance.now();
        lastDue = Math.max(lastDue, now + (state === "slow" ? SLOW_MS : 0));
        if (lastDue <= now) return done(null, chunk);
        setTimeout(() => this.push(chunk), lastDue - now);
        done();
      },
    });
  }

  const server = createServer((client) => {
    if (state === "refusing") return void client.resetAndDestroy();
    const upstream = connect(target, "127.0.0.1");
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.setNoDelay(true);
      socket.on("error", () => {});
      socket.once("close", () => {
        sockets.delete(socket);
        // On a silent path not even the end of a connection arrives.
        if (state !== "silent") for (const other of [client, upstream]) other.destroy();
      });
    }
    client.pipe(path(false)).pipe(upstream);
    upstream.pipe(path(true)).pipe(client);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();

  function reset(): void {
    for (const socket of sockets) socket.resetAndDestroy();
  }

  return {
    port: typeof address === "object" && address ? address.port : 0,
    set(next) {
      const wasLossy = state === "silent" || state === "deaf";
      state = next;
      // A stream that has lost a part cannot go on: what was silent stays so until its ends give up, or is reset.
      if (next === "refusing" || (wasLossy && next === "open")) reset();
    },
    leadTo(port) {
      target = port;
      reset();
    },
    async close() {
      server.close();
      reset();
      await once(server, "close");
    },
  };
}
