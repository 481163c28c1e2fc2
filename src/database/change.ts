import { isRetryable } from "./errors.ts";
import type { Prisma, PrismaClient } from "./generated/client.ts";

const MAX_ATTEMPTS = 5;

/** Who makes a change, and what else the log is to say of it. */
export interface ChangeSettings {
  /** The user who does it; absent: the system. */
  readonly actorId?: string | undefined;
  readonly ipAddress?: string | undefined;
  /** Why sessions end; absent: what fits the change. */
  readonly reason?: string;
  /** The id of a session that a change of the password spares, or all of them. */
  readonly keepSession?: string | "all";
  /** The new password hash is of the same password: nobody is to be logged out. */
  readonly samePassword?: true;
}

/**
 * Runs `work` in one transaction that carries the settings to the triggers (see the migration `sessions`),
 * and again if it lost against a concurrent one. Put the statement that ends sessions last: from it to the
 * commit all other writers of the log wait.
 */
export async function change<T>(
  prisma: PrismaClient,
  settings: ChangeSettings,
  work: (transaction: Prisma.TransactionClient) => Promise<T>,
): Promise<T> {
  const { actorId = "", ipAddress = "", reason = "", keepSession = "" } = settings;
  const samePassword = settings.samePassword ? "on" : "";
  for (let attempt = 1; ; attempt++) {
    try {
      return await prisma.$transaction(async (transaction) => {
        await transaction.$executeRaw`
          SELECT set_config('live_logout.actor_id', ${actorId}, true),
                 set_config('live_logout.ip_address', ${ipAddress}, true),
                 set_config('live_logout.reason', ${reason}, true),
                 set_config('live_logout.keep_session', ${keepSession}, true),
                 set_config('live_logout.same_password', ${samePassword}, true)`;
        return await work(transaction);
      });
    } catch (error) {
      if (attempt >= MAX_ATTEMPTS || !isRetryable(error)) throw error;
    }
  }
}
