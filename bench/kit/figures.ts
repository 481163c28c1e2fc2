import type { Run } from "./report.ts";

/** The README's table of figures, as a run had them. Throws if the run lacks a figure. */
export function figuresOf({ cases }: Run): string {
  /** What stands in a case's table: in the row that begins with `row`, so many cells behind that. */
  function figure(name: string, row: string, cell: number): number {
    const table = cases.find((one) => one.name === name)?.table;
    const value = table?.find(([first]) => String(first).startsWith(row))?.[cell];
    if (typeof value !== "number") throw new Error(`the run has no figure ${cell} of ${row} in ${name}`);
    return value;
  }
  const request = (row: string) => count(figure("authenticated-request", row, 1));
  const revocation = (row: string) =>
    `${short(figure("one-revocation", row, 1))} / ${short(figure("one-revocation", row, 2))} ms`;
  const seconds = (milliseconds: number) => `${short(milliseconds / 1_000)} s`;
  const kilobytes = (row: string) => `${short(figure("idle-sockets", row, 1) / 1_000)} kB`;
  const lost = figure("one-revocation", "Socket.IO", 3);
  const rows = [
    [
      "a revocation, from the commit to the closed socket on another node, p50 / p99",
      revocation("live-logout, from its commit"),
      "",
    ],
    [
      "the same, from asking for it",
      revocation("live-logout, from sending"),
      `Socket.IO with its PostgreSQL adapter: ${revocation("Socket.IO")}, and ${lost} of 500 clients not told`,
    ],
    [
      "10 000 clients of a node told why and closed, by one SQL statement",
      seconds(figure("log-out-everyone", "live-logout", 1)),
      `bare ws, on command: ${seconds(figure("log-out-everyone", "bare ws", 1))}`,
    ],
    [
      "resident memory for a client that waits",
      kilobytes("live-logout"),
      `bare ws: ${kilobytes("bare ws")}; Socket.IO: ${kilobytes("Socket.IO")}; graphql-ws, subscribed: ${kilobytes("stock graphql-ws, subscribed")}`,
    ],
    [
      "`{ viewer { id } }` over HTTP, requests per second",
      request("live-logout"),
      `Yoga without sessions: ${request("stock Yoga")}; Better Auth: ${request("Better Auth get")}, with its cookie cache ${request("Better Auth, cookie")}`,
    ],
    [
      "logins per second",
      short(figure("logins", "live-logout", 1)),
      `bare argon2 on as many threads: ${short(figure("logins", "bare argon2", 1))}`,
    ],
    ["100 000 sessions ended by one statement", seconds(figure("mass-revocation", "100000 sessions", 1)), ""],
    [
      "from the start to ready, on existing data",
      `${short(figure("cold-start", "embedded", 2))} s`,
      `with a PostgreSQL: ${short(figure("cold-start", "PostgreSQL", 2))} s`,
    ],
  ];
  return [
    "| | live-logout | beside it |",
    "|---|---|---|",
    ...rows.map((row) => `| ${row.join(" | ")} |`),
  ].join("\n");
}

/** Two digits that mean something. */
function short(value: number): string {
  return value >= 100 ? count(value) : String(Number(value.toPrecision(2)));
}

/** In groups of three digits, of which two or three mean something. */
function count(value: number): string {
  return String(Number(value.toPrecision(3))).replace(/\B(?=(\d{3})+$)/g, " ");
}
