import { createBenchDatabase, createSessions } from "../kit/database.ts";
import { NODE_SETTINGS } from "../kit/node-settings.ts";
import { atMost, type Case } from "../kit/report.ts";
import { type BenchProcess, startProcess } from "../kit/server-process.ts";
import type { Manner, Opening } from "../kit/sockets.ts";

const SOCKETS = 10_000;
/** So many are opened before, so that what a server needs once is not counted as theirs. */
const WARM_UP = 2_000;

export const idleSockets: Case = {
  name: "idle-sockets",
  title: `resident memory for each of ${SOCKETS} sockets that wait, ours with a sessionRevoked subscription each`,
  async run() {
    const nobody = Array.from({ length: SOCKETS + WARM_UP }, () => "");
    const bare = await measurePeer("peers/bare-ws.ts", "bare", nobody);
    const engine = await measurePeer("peers/socket-io.ts", "socket.io", nobody);
    const connected = await measurePeer("peers/stock-graphql-ws.ts", "acknowledged", nobody);
    const subscribed = await measurePeer("peers/stock-graphql-ws.ts", "graphql", nobody);
    const database = await createBenchDatabase();
    const node = await startProcess("node.ts", {
      settings: { ...NODE_SETTINGS, DATABASE_URL: database.url },
    });
    try {
      const sessions = await createSessions(database.sql, { users: nobody.length, each: 1 });
      const ours = await measure(
        node,
        "graphql",
        sessions.map(({ token }) => token),
      );
      return {
        table: [
          ["", "bytes each", "of bare ws", "processor µs to open"],
          ...[
            { name: "bare ws", ...bare },
            { name: "Socket.IO", ...engine },
            { name: "stock graphql-ws, connected", ...connected },
            { name: "stock graphql-ws, subscribed", ...subscribed },
            { name: "live-logout: a session each, subscribed", ...ours },
          ].map(({ name, bytes, cpu }) => [name, Math.round(bytes), bytes / bare.bytes, cpu]),
        ],
        goals: [[atMost("kilobytes each", 16, ours.bytes / 1_000)]],
      };
    } finally {
      await node.stop();
      await database.remove();
    }
  },
};

async function measurePeer(script: string, manner: Manner, tokens: readonly string[]) {
  const server = await startProcess(script);
  try {
    return await measure(server, manner, tokens);
  } finally {
    await server.stop();
  }
}

async function measure(server: BenchProcess, manner: Manner, tokens: readonly string[]) {
  const clients = await startProcess(
    manner === "socket.io" ? "peers/socket-io-clients.ts" : "kit/sockets.ts",
  );
  const open = (some: readonly string[]) =>
    clients.ask("open", { url: `${server.ready}/graphql`, manner, tokens: some } satisfies Opening);
  try {
    await open(tokens.slice(0, WARM_UP));
    const memory = await server.ask<number>("residentBytes");
    const processor = await server.ask<number>("processorMs");
    await open(tokens.slice(WARM_UP));
    const processorAfter = await server.ask<number>("processorMs");
    const memoryAfter = await server.ask<number>("residentBytes");
    return {
      bytes: (memoryAfter - memory) / SOCKETS,
      cpu: ((processorAfter - processor) * 1_000) / SOCKETS,
    };
  } finally {
    await clients.stop();
  }
}
