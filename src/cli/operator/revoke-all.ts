import process from "node:process";
import { SingleBar } from "cli-progress";
import { Command } from "commander";
import { OperatorError } from "../../operator-error.ts";
import { type SessionFilter, sessionsMatching } from "../../sessions/active.ts";
import { countByPolicy, revokeByPolicy } from "../../sessions/revoke-by-policy.ts";
import { countOfSessions, print, say } from "./output.ts";
import { findUser, type Rooms, toMoment, withRooms } from "./rooms.ts";

const CONDITIONS = "user=, role=, ip=, created-before=, last-seen-before=";

export function revokeAllCommand(): Command {
  return new Command("revoke-all")
    .description("end all sessions that fit, with the reason POLICY; without a condition, everybody's")
    .option("--where <conditions...>", `all of which must fit: ${CONDITIONS}`)
    .option("--dry-run", "only count them")
    .option("--yes", "do it; without this they are only counted, too")
    .option("--json", "for scripts")
    .addHelpText(
      "after",
      "\nTimes are ISO 8601 or how long ago: last-seen-before=30d.\nRepeated after it was broken off, it ends the rest.",
    )
    .action((options: { where?: readonly string[]; dryRun?: true; yes?: true; json?: true }) =>
      withRooms(async (rooms) => {
        const filter = await toFilter(rooms, options.where ?? []);
        const policy = sessionsMatching(filter, rooms.now(), rooms.rules);
        const count = await countByPolicy(rooms, {}, policy);
        const isDone = options.yes === true && options.dryRun !== true;
        const revoked = isDone ? await revoke(rooms, policy, count) : 0;
        if (options.json) return print(JSON.stringify({ matching: count, revoked }));
        print(isDone ? `${countOfSessions(revoked)} ended.` : `${countOfSessions(count)} would end.`);
        if (!isDone && !options.dryRun)
          say("Nothing was done. Repeat it with --yes to end them, now, on every node.");
      }),
    );
}

async function revoke(
  rooms: Rooms,
  policy: ReturnType<typeof sessionsMatching>,
  total: number,
): Promise<number> {
  // To standard error, and only where somebody looks.
  const bar = new SingleBar({
    format: "{bar} {percentage}% | {value} of {total} sessions ended | {eta_formatted} left",
    barCompleteChar: "█",
    barIncompleteChar: "░",
    stream: process.stderr,
    noTTYOutput: false,
    hideCursor: true,
  });
  bar.start(total, 0);
  try {
    return await revokeByPolicy(rooms, {}, policy, {
      mayGoOn: () => {},
      onBatch: (revokedCount) => bar.update(revokedCount),
    });
  } finally {
    bar.stop();
  }
}

async function toFilter(rooms: Rooms, conditions: readonly string[]): Promise<SessionFilter> {
  const filter: { -readonly [Key in keyof SessionFilter]: SessionFilter[Key] } = {};
  for (const condition of conditions) {
    const [, name, value] = /^([a-z-]+)=(.+)$/.exec(condition) ?? [];
    switch (value && name) {
      case "user":
        filter.userId = (await findUser(rooms, value ?? "")).id;
        break;
      case "role":
        if (!rooms.roles.names.includes(value ?? "")) {
          throw new OperatorError(`There is no role ${value}. There are: ${rooms.roles.names.join(", ")}.`);
        }
        filter.role = value;
        break;
      case "ip":
        filter.ipAddress = value;
        break;
      case "created-before":
        filter.createdBefore = toMoment(value ?? "", rooms.now());
        break;
      case "last-seen-before":
        filter.lastSeenBefore = toMoment(value ?? "", rooms.now());
        break;
      default:
        // Taken for no condition at all, it would log everybody out.
        throw new OperatorError(`${condition} is no condition. There are: ${CONDITIONS}`);
    }
  }
  return filter;
}
