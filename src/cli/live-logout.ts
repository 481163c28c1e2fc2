#!/usr/bin/env -S node --disable-warning=ExperimentalWarning
import process from "node:process";
import { Command, CommanderError } from "commander";
import { runService } from "../main.ts";
import { OperatorError } from "../operator-error.ts";
import { eventCommands } from "./operator/events.ts";
import { migrateCommand } from "./operator/migrate.ts";
import { revokeAllCommand } from "./operator/revoke-all.ts";
import { serviceAccountCommands } from "./operator/service-accounts.ts";
import { sessionCommands } from "./operator/sessions.ts";
import { userCommands } from "./operator/users.ts";

// The operator's command line: `npx live-logout`. It works on the database of the settings, and what it changes takes effect
// on running nodes at once. Exit codes: 0 done, 1 refused or failed, 2 not understood.

const program = new Command("live-logout")
  .description("Runs and operates live-logout, on the database of the settings (DATABASE_URL, or DATA_DIR).")
  .exitOverride()
  .configureHelp({ showGlobalOptions: true });

program
  .command("serve")
  .description("run a node, as `npm start` does")
  .action(async () => void (await runService()));
program.addCommand(migrateCommand());
program.addCommand(userCommands());
program.addCommand(sessionCommands());
program.addCommand(eventCommands());
program.addCommand(revokeAllCommand());
program.addCommand(serviceAccountCommands());

/** Commander's own errors are the caller's mistakes; it has printed them already. */
function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  const text = error instanceof OperatorError ? error.message : String((error as Error).stack);
  process.stderr.write(`${text}\n`);
  return 1;
}

/** Each command of a command, and so on: what is thrown at any depth is to come here. */
function overrideExit(command: Command): void {
  command.exitOverride();
  for (const inner of command.commands) overrideExit(inner);
}

overrideExit(program);
try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = exitCodeOf(error);
}
