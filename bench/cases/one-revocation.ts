import { once } from "node:events";
import pg from "pg";
import { now } from "../kit/clock.ts";
import { createBenchDatabase, createSessions } from "../kit/database.ts";
import { NODE_SETTINGS } from "../kit/node-settings.ts";
import { atLeast, atMost, type Case, percentile } from "../kit/report.ts";
import { type BenchProcess, startAll } from "../kit/server-process.ts";
import type { Closed, Opening } from "../kit/sockets.ts";

const REVOCATIONS = 500;

interface Revoked {
  /** From asking for it, and from when it was durable, to the closed socket; milliseconds. */
  readonly fromAsking: number;
  readonly fromCommit: number;
  readonly wasTold: boolean;
}

export const oneRevocation: Case = {
  name: "one-revocation",
  title: `${REVOCATIONS} revocations, one after the other, each from one node to the closed socket on another`,
  async run() {
    const database = await createBenchDatabase();
    const { start, stop } = startAll();
    try {
      const ours = await revokeOurs(database.sql, await startOurs(database.url, start), start);
      await database.sql.query("CREATE DATABASE socket_io");
      const theirs = await revokeTheirs(database.url.replace(/bench$/, "socket_io"), start);
      const row = (name: string, milliseconds: readonly number[], results: readonly Revoked[]) => [
        name,
        percentile(milliseconds, 0.5),
        percentile(milliseconds, 0.99),
        results.filter(({ wasTold }) => !wasTold).length,
      ];
      const asked = (results: readonly Revoked[]) => results.map(({ fromAsking }) => fromAsking);
      const least = await notify(database.url);
      const share = (which: number) => percentile(asked(ours), which) / percentile(asked(theirs), which);
      return {
        table: [
          ["", "p50 ms", "p99 ms", "not told"],
          row("live-logout, from sending the statement", asked(ours), ours),
          row(
            "live-logout, from its commit",
            ours.map(({ fromCommit }) => fromCommit),
            ours,
          ),
          row("Socket.IO, from emit and disconnectSockets", asked(theirs), theirs),
          [
            "a bare NOTIFY to a client that only listens",
            percentile(least, 0.5),
            percentile(least, 0.99),
            "",
          ],
        ],
        goals: [
          [
            atMost("p50, of Socket.IO's", 1, share(0.5)),
            atMost("p99, of Socket.IO's", 1, share(0.99)),
            atLeast("clients that were told", REVOCATIONS, ours.filter(({ wasTold }) => wasTold).length),
          ],
        ],
      };
    } finally {
      await stop();
      await database.remove();
    }
  },
};

type Start = ReturnType<typeof startAll>["start"];

/** Two nodes; gives back the one that the sockets are to be on. The other is there because a single one would prove nothing. */
async function startOurs(url: string, start: Start): Promise<BenchProcess> {
  const settings = { ...NODE_SETTINGS, DATABASE_URL: url };
  await start("node.ts", { settings });
  return start("node.ts", { settings });
}

async function revokeOurs(
  sql: Awaited<ReturnType<typeof createBenchDatabase>>["sql"],
  node: BenchProcess,
  start: Start,
): Promise<Revoked[]> {
  const sessions = await createSessions(sql, { users: REVOCATIONS, each: 1 });
  const clients = await start("kit/sockets.ts");
  const tokens = sessions.map(({ token }) => token);
  await clients.ask("open", { url: `${node.ready}/graphql`, manner: "graphql", tokens } satisfies Opening);
  const results: Revoked[] = [];
  for (const [index, { id }] of sessions.entries()) {
    const closed = clients.ask<Closed>("closed", index);
    const askedAt = now();
    await sql.query("UPDATE sessions SET revoked_at = now() WHERE id = $1", [id]);
    const committedAt = now();
    const { at, wasTold } = await closed;
    results.push({ fromAsking: at - askedAt, fromCommit: Math.max(0, at - committedAt), wasTold });
  }
  return results;
}

async function revokeTheirs(url: string, start: Start): Promise<Revoked[]> {
  const settings = { DATABASE_URL: url };
  const revoking = await start("peers/socket-io.ts", { settings });
  const serving = await start("peers/socket-io.ts", { settings });
  const clients = await start("peers/socket-io-clients.ts");
  const tokens = Array.from({ length: REVOCATIONS }, (_, index) => `session ${index}`);
  await clients.ask("open", { url: serving.ready, manner: "socket.io", tokens } satisfies Opening);
  const results: Revoked[] = [];
  for (const [index, session] of tokens.entries()) {
    const closed = clients.ask<Closed>("closed", index);
    const askedAt = await revoking.ask<number>("revoke", session);
    const { at, wasTold } = await closed;
    results.push({ fromAsking: at - askedAt, fromCommit: at - askedAt, wasTold });
  }
  return results;
}

/** The least that any design needs which hears of commits by notification, from sending it. */
async function notify(url: string): Promise<number[]> {
  const [sender, listener] = [1, 2].map(() => new pg.Client({ connectionString: url })) as [
    pg.Client,
    pg.Client,
  ];
  await Promise.all([sender.connect(), listener.connect()]);
  try {
    await listener.query("LISTEN bench");
    const milliseconds: number[] = [];
    for (let count = 0; count < REVOCATIONS; count++) {
      const heard = once(listener, "notification").then(now);
      const sentAt = now();
      await sender.query("NOTIFY bench");
      milliseconds.push((await heard) - sentAt);
    }
    return milliseconds;
  } finally {
    await Promise.all([sender.end(), listener.end()]);
  }
}
