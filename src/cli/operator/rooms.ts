import process from "node:process";
import { validate as isUuid } from "uuid";
import { type Config, readConfig } from "../../config.ts";
import type { Database } from "../../database/database.ts";
import type { PrismaClient, User } from "../../database/generated/client.ts";
import { openDatabase } from "../../database/open.ts";
import { OperatorError } from "../../operator-error.ts";
import type { ValidityRules } from "../../revocation/validity.ts";
import { createRoles, type Roles } from "../../users/roles.ts";

/** What a command works with. */
export interface Rooms {
  readonly config: Config;
  readonly database: Database;
  readonly prisma: PrismaClient;
  readonly roles: Roles;
  readonly rules: ValidityRules;
  /** The database's time when the command began, in milliseconds since the epoch. */
  readonly now: () => number;
  /** Nodes hear of a commit by themselves: there is nothing to wait for here. */
  readonly catchUp: () => Promise<void>;
}

/** Opens the database of the settings for one command. Throws {@link OperatorError}. */
export async function withRooms<T>(work: (rooms: Rooms) => Promise<T>): Promise<T> {
  const config = readConfig(process.env);
  const database = await openDatabase(config, { onError: () => {} });
  try {
    const { prisma } = database;
    const [row] = await prisma.$queryRaw<[{ now: Date; isMigrated: boolean }]>`
      SELECT clock_timestamp() AS now, to_regproc('session_event_forget_address') IS NOT NULL AS "isMigrated"`;
    if (!row.isMigrated) {
      throw new OperatorError(
        "The database is older than this program. Run `live-logout migrate`, or start a node.",
      );
    }
    const now = row.now.getTime();
    return await work({
      config,
      database,
      prisma,
      roles: createRoles(config.addedRoles),
      rules: { idleTimeoutMs: config.idleTimeoutMs },
      now: () => now,
      catchUp: async () => {},
    });
  } finally {
    await database.close();
  }
}

/** A user by id or email. Throws {@link OperatorError} if there is none. */
export async function findUser({ prisma }: Pick<Rooms, "prisma">, idOrEmail: string): Promise<User> {
  const where = isUuid(idOrEmail) ? { id: idOrEmail } : { email: idOrEmail.toLowerCase() };
  const user = await prisma.user.findUnique({ where });
  if (!user)
    throw new OperatorError(`There is no user ${idOrEmail}. Look for them with: live-logout user list`);
  return user;
}

const UNITS_MS = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** `30d` is as many milliseconds. Throws {@link OperatorError}. */
export function toMs(text: string): number {
  const [, count, unit] = /^(\d{1,6})([smhd])$/.exec(text) ?? [];
  if (!count || !unit)
    throw new OperatorError(`${text} is no duration: write it as in 30s, 15m, 12h or 30d.`);
  return Number(count) * UNITS_MS[unit as keyof typeof UNITS_MS];
}

/** A moment, as ISO 8601 or as how long ago it is: `30d`. Throws {@link OperatorError}. */
export function toMoment(text: string, now: number): Date {
  if (/^\d+[smhd]$/.test(text)) return new Date(now - toMs(text));
  const moment = new Date(text);
  if (Number.isNaN(moment.getTime())) {
    throw new OperatorError(`${text} is no time: write 2026-11-21T09:30:00Z, or 30d for thirty days ago.`);
  }
  return moment;
}
