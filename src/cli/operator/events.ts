import process from "node:process";
import { Command } from "commander";
import { OperatorError } from "../../operator-error.ts";
import { LOG_CHANNEL, type SessionEvent } from "../../revocation/log.ts";
import { readHistory } from "../../sessions/history.ts";
import { momentOf, print } from "./output.ts";
import { type Rooms, withRooms } from "./rooms.ts";
import { toLimit } from "./users.ts";

/** Without being told of a commit it is looked this often. Milliseconds. */
const LOOK_INTERVAL_MS = 1_000;
const QUERY_TIMEOUT_MS = 10_000;

export function eventCommands(): Command {
  return new Command("events")
    .description("print the log of session events, the newest last")
    .option("--follow", "go on with what happens, until it is interrupted")
    .option("--limit <count>", "how many of the past", "20")
    .option("--json", "a JSON object a line, for scripts")
    .action((options: { follow?: true; limit: string; json?: true }) =>
      withRooms(async (rooms) => {
        const show = (event: SessionEvent) => showEvent(rooms, event, options.json ?? false);
        const { _max } = await rooms.prisma.sessionEvent.aggregate({ _max: { id: true } });
        const newest = await rooms.prisma.sessionEvent.findMany({
          orderBy: { id: "desc" },
          take: toLimit(options.limit),
          select: { id: true },
        });
        const first = (newest.at(-1)?.id ?? 1n) - 1n;
        let cursor = first;
        while (cursor < (_max.id ?? 0n)) {
          const page = await readHistory(rooms.prisma, cursor, {});
          for (const event of page.events) await show(event);
          cursor = page.cursor;
        }
        if (options.follow) await follow(rooms, cursor, show);
      }),
    );
}

/** Until SIGINT or SIGTERM. */
async function follow(
  { database, prisma }: Rooms,
  from: bigint,
  show: (event: SessionEvent) => Promise<void>,
): Promise<void> {
  const stopping = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => stopping.abort());
  let woken = Promise.withResolvers<void>();
  let lost: OperatorError | undefined;
  // Each of these wakes, and is looked at then: a race with what may never come would remember every round.
  stopping.signal.addEventListener("abort", () => woken.resolve());
  const listener = await database.openListener({
    channel: LOG_CHANNEL,
    onNotification: () => woken.resolve(),
    onLost(error) {
      lost = new OperatorError(`The connection to the database was lost: ${error.message}`);
      woken.resolve();
    },
    queryTimeoutMs: QUERY_TIMEOUT_MS,
  });
  try {
    for (let cursor = from; !stopping.signal.aborted; ) {
      if (lost) throw lost;
      woken = Promise.withResolvers();
      const page = await readHistory(prisma, cursor, {});
      for (const event of page.events) await show(event);
      cursor = page.cursor;
      if (page.events.length > 0) continue;
      const timer = setTimeout(woken.resolve, LOOK_INTERVAL_MS);
      if (!lost && !stopping.signal.aborted) await woken.promise;
      clearTimeout(timer);
    }
  } finally {
    await listener.close();
  }
}

async function showEvent({ prisma }: Rooms, event: SessionEvent, json: boolean): Promise<void> {
  const { id, type, at, sessionId, userId, actorId, reason } = event;
  if (json) return print(JSON.stringify({ id, type, at, sessionId, userId, actorId, reason }));
  const nameOf = async (who: string) =>
    (await prisma.user.findUnique({ where: { id: who } }))?.email ?? "deleted user";
  const by = actorId && actorId !== userId ? ` by ${await nameOf(actorId)}` : "";
  print([id, momentOf(at), type, await nameOf(userId), sessionId, (reason ?? "") + by].join("  ").trimEnd());
}
