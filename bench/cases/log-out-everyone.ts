import { now } from "../kit/clock.ts";
import { createBenchDatabase, createSessions } from "../kit/database.ts";
import { NODE_SETTINGS } from "../kit/node-settings.ts";
import { atLeast, atMost, type Case, median } from "../kit/report.ts";
import { startAll } from "../kit/server-process.ts";
import type { Closed, Opening } from "../kit/sockets.ts";

const SOCKETS = 10_000;
const ROUNDS = 3;

export const logOutEveryone: Case = {
  name: "log-out-everyone",
  title: `${SOCKETS} sockets of one node, all told and closed: by one SQL statement, and by bare ws on command`,
  async run() {
    const bare: number[] = [];
    const ours: { readonly statement: number; readonly last: number; readonly told: number }[] = [];
    // In turns, each with a server and clients of its own.
    for (let round = 0; round < ROUNDS; round++) {
      bare.push(await closeBare());
      ours.push(await revokeAll());
    }
    const last = median(ours.map((one) => one.last));
    return {
      table: [
        ["", "ms to the last close", "of bare ws"],
        ["bare ws, from the command", median(bare), 1],
        ["live-logout, from the commit", last, last / median(bare)],
        ["its statement", median(ours.map(({ statement }) => statement)), ""],
      ],
      goals: [
        [
          atMost("from the commit to the last close, of bare ws", 1.2, last / median(bare)),
          atLeast("clients that were told", SOCKETS, Math.min(...ours.map(({ told }) => told))),
        ],
      ],
    };
  },
};

async function closeBare(): Promise<number> {
  const { start, stop } = startAll();
  try {
    const server = await start("peers/bare-ws.ts");
    const clients = await start("kit/sockets.ts");
    const tokens = Array.from({ length: SOCKETS }, () => "");
    await clients.ask("open", { url: server.ready, manner: "bare", tokens } satisfies Opening);
    const closed = clients.ask<Closed[]>("allClosed");
    const begunAt = await server.ask<number>("closeAll");
    return lastOf(await closed) - begunAt;
  } finally {
    await stop();
  }
}

async function revokeAll() {
  const database = await createBenchDatabase();
  const { start, stop } = startAll();
  try {
    const node = await start("node.ts", { settings: { ...NODE_SETTINGS, DATABASE_URL: database.url } });
    const clients = await start("kit/sockets.ts");
    const sessions = await createSessions(database.sql, { users: SOCKETS, each: 1 });
    const tokens = sessions.map(({ token }) => token);
    await clients.ask("open", { url: `${node.ready}/graphql`, manner: "graphql", tokens } satisfies Opening);
    const closed = clients.ask<Closed[]>("allClosed");
    const sentAt = now();
    await database.sql.query("UPDATE sessions SET revoked_at = now(), revocation_reason = 'POLICY'");
    const committedAt = now();
    const closes = await closed;
    return {
      statement: committedAt - sentAt,
      last: lastOf(closes) - committedAt,
      told: closes.filter(({ wasTold }) => wasTold).length,
    };
  } finally {
    await stop();
    await database.remove();
  }
}

function lastOf(closes: readonly Closed[]): number {
  return closes.reduce((last, { at }) => Math.max(last, at), 0);
}
