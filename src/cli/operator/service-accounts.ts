import { Command } from "commander";
import { validate as isUuid } from "uuid";
import { OperatorError } from "../../operator-error.ts";
import { endByAdministrator } from "../../sessions/revoke.ts";
import {
  createServiceAccount,
  findServiceAccount,
  listServiceAccounts,
  SCOPES,
  type Scope,
} from "../../sessions/service-accounts.ts";
import { momentOf, print, printRows, say } from "./output.ts";
import { toMs, withRooms } from "./rooms.ts";

export function serviceAccountCommands(): Command {
  const command = new Command("service-account").description("tokens for other back ends");

  command
    .command("create")
    .description("create a service account and print its token, this once")
    .argument("<name>")
    .requiredOption("--scope <scopes...>", SCOPES.join(", "))
    .option("--expires <duration>", "how long its token is good", "90d")
    .option("--json", "for scripts")
    .action((name: string, options: { scope: readonly string[]; expires: string; json?: true }) =>
      withRooms(async (rooms) => {
        const expiresAt = new Date(rooms.now() + toMs(options.expires));
        const input = { name, scopes: options.scope as readonly Scope[], expiresAt };
        const outcome = await createServiceAccount(rooms, {}, input);
        if (outcome.kind === "invalid") {
          throw new OperatorError(
            outcome.issues.map(({ path, message }) => `${path}: ${message}`).join("\n"),
          );
        }
        const { account, token } = outcome;
        if (options.json) return print(JSON.stringify({ id: account.user.id, name, token, expiresAt }));
        say(`The token of ${name} (${account.user.id}), shown this once:`);
        print(token);
      }),
    );

  command
    .command("list")
    .description("list the service accounts whose tokens are good")
    .option("--json", "for scripts")
    .action((options: { json?: true }) =>
      withRooms(async (rooms) => {
        const accounts = await listServiceAccounts(rooms);
        const rows = accounts.map(({ user, session }) => ({
          id: user.id,
          name: user.name,
          scopes: session.scopes.join(" "),
          expires: momentOf(session.expiresAt),
          "last used": momentOf(session.lastSeenAt),
        }));
        printRows(rows, options);
      }),
    );

  command
    .command("revoke")
    .description("end a service account's token, and what it has open")
    .argument("<id>")
    .action((id: string) =>
      withRooms(async (rooms) => {
        const account = isUuid(id) ? await findServiceAccount(rooms, id) : undefined;
        if (!account) throw new OperatorError(`There is no service account ${id}.`);
        await endByAdministrator(rooms, {}, account.session.id);
        print(`${account.user.name} is revoked.`);
      }),
    );
  return command;
}
