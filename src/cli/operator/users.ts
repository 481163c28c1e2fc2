import { randomBytes } from "node:crypto";
import process from "node:process";
import { text } from "node:stream/consumers";
import { Command } from "commander";
import { z } from "zod";
import type { Prisma, User } from "../../database/generated/client.ts";
import { OperatorError } from "../../operator-error.ts";
import { deleteUser, exportPersonalData } from "../../sessions/personal-data.ts";
import { type AdministerOutcome, administerUser } from "../../users/administer.ts";
import { createPasswordHasher } from "../../users/password.ts";
import { type Role, SERVICE_ROLE, type UserStatus } from "../../users/roles.ts";
import { createUser } from "../../users/sign-up.ts";
import { emailSchema, nameSchema, passwordSchema, validate } from "../../users/validation.ts";
import { countOfSessions, momentOf, print, printRows, type Row, say } from "./output.ts";
import { findUser, type Rooms, withRooms } from "./rooms.ts";

const newUserSchema = z.object({ email: emailSchema, name: nameSchema, password: passwordSchema });

export function userCommands(): Command {
  const command = new Command("user").description(
    "create users, change their role and status, list, export and delete them",
  );

  command
    .command("create")
    .description("create a user; prints a password that is made up, unless one is given")
    .argument("<email>")
    .requiredOption("--name <name>", "what they are called")
    .option("--role <role>", "USER, SUPPORT, ADMIN or one of the setting ROLES", "USER")
    .option("--password-stdin", "read the password from standard input")
    .option("--json", "for scripts")
    .action(
      async (email: string, options: { name: string; role: string; passwordStdin?: true; json?: true }) => {
        const given = options.passwordStdin ? (await text(process.stdin)).replace(/\r?\n$/, "") : undefined;
        const password = given ?? randomBytes(15).toString("base64url");
        const checked = validate(newUserSchema, { email, name: options.name, password }, "user");
        if (checked.kind === "invalid") {
          throw new OperatorError(
            checked.issues.map(({ path, message }) => `${path}: ${message}`).join("\n"),
          );
        }
        await withRooms(async (rooms) => {
          const role = knownRole(rooms, options.role);
          const passwords = await createPasswordHasher(rooms.config.passwordCost);
          const user = await createUser({ ...rooms, passwords }, { ...checked.value, role });
          if (!user) throw new OperatorError(`There is a user ${checked.value.email} already.`);
          printRows([rowOf(user)], options);
          if (given === undefined) say(`Their password, shown this once: ${password}`);
        });
      },
    );

  command
    .command("role")
    .description("give a user another role, which logs them out everywhere")
    .argument("<user>", "an email or an id")
    .argument("<role>")
    .action((who: string, role: string) =>
      administer(
        who,
        (rooms) => ({ role: knownRole(rooms, role) }),
        (user) => `${user.email} is ${user.role}`,
      ),
    );
  for (const [verb, status, description] of [
    ["activate", "ACTIVE", "let a user log in again"],
    ["deactivate", "DEACTIVATED", "log a user out everywhere and let them in no more"],
  ] as const satisfies readonly (readonly [string, UserStatus, string])[]) {
    command
      .command(verb)
      .description(description)
      .argument("<user>", "an email or an id")
      .action((who: string) =>
        administer(
          who,
          () => ({ status }),
          (user) => `${user.email} is ${user.status}`,
        ),
      );
  }

  command
    .command("export")
    .description("print all that is kept of a user, as JSON, for them to read")
    .argument("<user>", "an email or an id")
    .action((who: string) =>
      withRooms(async (rooms) => {
        const data = await exportPersonalData(rooms.prisma, await findUser(rooms, who));
        print(JSON.stringify(data, null, 2));
      }),
    );
  command
    .command("delete")
    .description("delete a user with all that is theirs, which logs them out everywhere")
    .argument("<user>", "an email or an id")
    .option("--yes", "do it; without this nothing is done")
    .addHelpText(
      "after",
      "\nThe log keeps what happened, with an id that leads to nobody and without their addresses.",
    )
    .action((who: string, options: { yes?: true }) =>
      withRooms(async (rooms) => {
        const user = await findUser(rooms, who);
        if (!options.yes) {
          say(`Nothing was done. Repeat it with --yes to delete ${user.email} for good.`);
          return;
        }
        const outcome = await deleteUser(rooms.prisma, user.id);
        if (outcome.kind === "lastAdministrator") {
          throw new OperatorError(
            "This is the last active administrator. Give another user the role ADMIN first.",
          );
        }
        const ended = outcome.kind === "deleted" ? outcome.revokedCount : 0;
        print(`${user.email} is deleted; ${countOfSessions(ended)} ended.`);
      }),
    );

  command
    .command("list")
    .description("list users, the newest first")
    .option("--search <text>", "part of the name or the email")
    .option("--role <role>")
    .option("--status <status>", "ACTIVE or DEACTIVATED")
    .option("--limit <count>", "how many at most", "50")
    .option("--json", "for scripts")
    .action((options: { search?: string; role?: string; status?: string; limit: string; json?: true }) =>
      withRooms(async ({ prisma }) => {
        const where: Prisma.UserWhereInput = { role: options.role ?? { not: SERVICE_ROLE } };
        if (options.status) where.status = options.status;
        if (options.search) {
          const contains = options.search.replace(/[\\%_]/g, "\\$&");
          where.OR = [
            { email: { contains, mode: "insensitive" } },
            { name: { contains, mode: "insensitive" } },
          ];
        }
        const users = await prisma.user.findMany({
          where,
          orderBy: { id: "desc" },
          take: toLimit(options.limit),
        });
        printRows(users.map(rowOf), options);
      }),
    );
  return command;
}

/** Throws {@link OperatorError} unless it is a number from 1 to 10 000. */
export function toLimit(given: string): number {
  const limit = /^\d{1,5}$/.test(given) ? Number(given) : 0;
  if (limit < 1 || limit > 10_000) throw new OperatorError("--limit takes a number from 1 to 10000.");
  return limit;
}

function knownRole({ roles }: Rooms, role: string): Role {
  if (roles.names.includes(role)) return role;
  throw new OperatorError(`There is no role ${role}. There are: ${roles.names.join(", ")}.`);
}

async function administer(
  who: string,
  change: (rooms: Rooms) => { readonly role: Role } | { readonly status: UserStatus },
  describe: (user: User) => string,
): Promise<void> {
  await withRooms(async (rooms) => {
    const { id } = await findUser(rooms, who);
    // Whoever may use the database may do anything.
    const operator = { userId: undefined, role: "ADMIN", ipAddress: undefined };
    const outcome: AdministerOutcome = await administerUser(rooms, operator, id, change(rooms));
    if (outcome.kind === "invalid")
      throw new OperatorError(outcome.issues.map(({ message }) => message).join("\n"));
    if (outcome.kind !== "changed") throw new OperatorError(`${who} cannot be changed.`);
    print(`${describe(outcome.user)}; ${countOfSessions(outcome.revokedCount)} ended.`);
  });
}

function rowOf({ id, email, name, role, status, createdAt }: User): Row {
  return { id, email, name, role, status, "signed up": momentOf(createdAt) };
}
