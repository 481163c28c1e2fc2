import { Command } from "commander";
import { validate as isUuid } from "uuid";
import { OperatorError } from "../../operator-error.ts";
import { sessionsMatching } from "../../sessions/active.ts";
import { deviceName } from "../../sessions/device.ts";
import { endByAdministrator } from "../../sessions/revoke.ts";
import { momentOf, print, printRows } from "./output.ts";
import { findUser, withRooms } from "./rooms.ts";
import { toLimit } from "./users.ts";

export function sessionCommands(): Command {
  const command = new Command("sessions").description("list and revoke sessions");

  command
    .command("list")
    .description("list active sessions, the newest first")
    .option("--user <user>", "of this user: an email or an id")
    .option("--limit <count>", "how many at most", "50")
    .option("--json", "for scripts")
    .action((options: { user?: string; limit: string; json?: true }) =>
      withRooms(async (rooms) => {
        const userId = options.user === undefined ? undefined : (await findUser(rooms, options.user)).id;
        const sessions = await rooms.prisma.session.findMany({
          where: sessionsMatching({ userId }, rooms.now(), rooms.rules),
          include: { user: true },
          orderBy: { id: "desc" },
          take: toLimit(options.limit),
        });
        const rows = sessions.map(({ id, user, userAgent, ipAddress, createdAt, lastSeenAt }) => ({
          id,
          user: user.email,
          device: deviceName(userAgent),
          address: ipAddress,
          "signed in": momentOf(createdAt),
          "last used": momentOf(lastSeenAt),
        }));
        printRows(rows, options);
      }),
    );

  command
    .command("revoke")
    .description("end sessions by their ids, now, on every node")
    .argument("<ids...>")
    .action((ids: readonly string[]) =>
      withRooms(async (rooms) => {
        for (const id of ids) {
          const session = isUuid(id) ? await endByAdministrator(rooms, {}, id) : undefined;
          if (!session)
            throw new OperatorError(`There is no session ${id}. List them with: live-logout sessions list`);
          print(`${id} is revoked: ${session.revocationReason}.`);
        }
      }),
    );
  return command;
}
