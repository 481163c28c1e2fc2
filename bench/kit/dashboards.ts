import WebSocket from "ws";

/** Operators' pages that follow everybody's events and stay open. */
export interface Dashboards {
  /** How many events each was told. */
  readonly told: () => readonly number[];
  readonly close: () => void;
}

/** Opens so many, each of which is told what comes after the cursor. `onProblem` hears of whatever else happens to one. */
export function openDashboards(
  url: string,
  options: {
    readonly count: number;
    readonly token: string;
    readonly after: string;
    readonly onProblem: (what: string) => void;
  },
): Dashboards {
  const told = Array.from({ length: options.count }, () => 0);
  let isClosing = false;
  const sockets = told.map((_none, index) => {
    const socket = new WebSocket(`${url.replace("http", "ws")}/graphql`, "graphql-transport-ws");
    const send = (message: unknown) => socket.send(JSON.stringify(message));
    socket.on("error", () => {});
    socket.on("open", () =>
      send({ type: "connection_init", payload: { authorization: `Bearer ${options.token}` } }),
    );
    socket.on("message", (data) => {
      const { type, payload } = JSON.parse(String(data)) as {
        type: string;
        payload?: { data?: unknown; errors?: unknown };
      };
      if (type === "connection_ack") {
        const query =
          "subscription ($after: ID) { sessionEvents(after: $after) { id type at reason user { email } } }";
        send({
          id: "events",
          type: "subscribe",
          payload: { query, variables: { after: options.after } },
        });
      } else if (type === "next" && payload?.data && !payload.errors) told[index] = (told[index] ?? 0) + 1;
      else if (type === "ping") send({ type: "pong" });
      else options.onProblem(`a dashboard is told ${String(data).slice(0, 200)}`);
    });
    socket.on("close", (code, reason) => {
      if (!isClosing) options.onProblem(`a dashboard is closed with ${code} ${reason}`);
    });
    return socket;
  });
  return {
    told: () => told,
    close() {
      isClosing = true;
      for (const socket of sockets) socket.close(1000);
    },
  };
}
