import { setTimeout as pause } from "node:timers/promises";
import WebSocket from "ws";
import type { ClusterNode } from "./cluster.ts";
import type { FeedLife, History } from "./history.ts";

const SUBSCRIPTION = "subscription ($after: ID) { sessionEvents(after: $after) { id } }";

export interface FeedReader {
  /** The id of the last event that it was told. */
  readonly last: () => string | undefined;
  readonly stop: () => Promise<void>;
}

/** An operator's dashboard: follows everybody's events on one node, and resumes from its cursor whenever it is cut. */
export function startFeedReader(node: ClusterNode, token: string, history: History): FeedReader {
  const ids: string[] = [];
  const life = { node: node.index, ids, connections: 0 } satisfies FeedLife & { connections: number };
  history.feeds.push(life);
  let isStopped = false;
  let socket: WebSocket | undefined;

  async function connect(): Promise<void> {
    const opened = new WebSocket(`${node.url.replace("http", "ws")}/graphql`, "graphql-transport-ws", {
      handshakeTimeout: 3_000,
    });
    socket = opened;
    const closed = Promise.withResolvers<void>();
    opened.on("error", () => {});
    opened.on("close", () => closed.resolve());
    opened.on("open", () =>
      opened.send(JSON.stringify({ type: "connection_init", payload: { authorization: `Bearer ${token}` } })),
    );
    opened.on("message", (data) => {
      const message = JSON.parse(String(data)) as {
        readonly type: string;
        readonly payload?: {
          readonly data?: { readonly sessionEvents?: { readonly id: string } };
          errors?: unknown;
        };
      };
      if (message.type === "connection_ack") {
        life.connections += 1;
        const variables = { after: ids.at(-1) ?? "0" };
        opened.send(
          JSON.stringify({ id: "feed", type: "subscribe", payload: { query: SUBSCRIPTION, variables } }),
        );
      }
      const id = message.payload?.data?.sessionEvents?.id;
      if (id !== undefined) ids.push(id);
      else if (message.type === "next" || message.type === "error") {
        // A node without a database may say so; the reader comes back, as a dashboard does.
        if (!String(data).includes("SERVICE_UNAVAILABLE")) {
          history.incidents.push(`resume: the feed on node ${node.index} fails: ${String(data)}`);
        }
        opened.terminate();
      } else if (message.type === "complete") opened.terminate();
    });
    await closed.promise;
  }

  const finished = (async () => {
    while (!isStopped) {
      await connect();
      await pause(100);
    }
  })();
  return {
    last: () => ids.at(-1),
    async stop() {
      isStopped = true;
      socket?.terminate();
      await finished;
    },
  };
}
