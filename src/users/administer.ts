import { validate as isUuid } from "uuid";
import { change } from "../database/change.ts";
import type { Prisma, PrismaClient, User } from "../database/generated/client.ts";
import { type Role, type Roles, SERVICE_ROLE, type UserStatus } from "./roles.ts";
import type { Invalid } from "./validation.ts";

export interface AdministerRooms {
  readonly prisma: PrismaClient;
  readonly roles: Roles;
  /** Resolves once this node has applied what was committed so far. */
  readonly catchUp: () => Promise<void>;
}

export interface Administrator {
  /** Undefined: an operator at the command line. */
  readonly userId: string | undefined;
  readonly role: Role;
  readonly ipAddress: string | undefined;
}

export type AdministerOutcome =
  | { readonly kind: "changed"; readonly user: User; readonly revokedCount: number }
  | { readonly kind: "notFound" }
  /** The administrator would give, or take from somebody, what they may not do themself. */
  | { readonly kind: "notCovered" }
  | Invalid;

/**
 * Changes a user's role or status. The database ends their sessions in the same transaction (P4). The last
 * active administrator can be neither demoted nor deactivated: nobody could undo it. A role that may change users but is
 * not ADMIN changes only those who may do no more than it, and gives no more than it has.
 */
export async function administerUser(
  { prisma, roles, catchUp }: AdministerRooms,
  administrator: Administrator,
  userId: string,
  data: { readonly role: Role } | { readonly status: UserStatus },
): Promise<AdministerOutcome> {
  if (!isUuid(userId)) return { kind: "notFound" };
  const settings = { actorId: administrator.userId, ipAddress: administrator.ipAddress };
  const outcome = await change(prisma, settings, async (transaction): Promise<AdministerOutcome> => {
    const administrators = await lockAdministrators(transaction);
    const user = await transaction.user.findUnique({ where: { id: userId } });
    if (!user || user.role === SERVICE_ROLE) return { kind: "notFound" };
    const given = "role" in data ? data.role : user.role;
    if (!roles.covers(administrator.role, user.role) || !roles.covers(administrator.role, given)) {
      return { kind: "notCovered" };
    }
    const isLastAdministrator = administrators.length === 1 && administrators[0] === userId;
    const changed = { ...user, ...data };
    if (isLastAdministrator && (changed.role !== "ADMIN" || changed.status !== "ACTIVE")) {
      const path = "role" in data ? "role" : "status";
      const message = "This is the last active administrator. Give another user the role ADMIN first.";
      return { kind: "invalid", issues: [{ path, message }] };
    }
    if (changed.role === user.role && changed.status === user.status) {
      return { kind: "changed", user, revokedCount: 0 };
    }
    // Counted before the change, while the lock on the user keeps logins from adding to them.
    await transaction.$executeRaw`SELECT FROM users WHERE id = ${userId}::uuid FOR UPDATE`;
    const revokedCount = await transaction.session.count({ where: { userId, revokedAt: null } });
    return {
      kind: "changed",
      user: await transaction.user.update({ where: { id: userId }, data }),
      revokedCount,
    };
  });
  if (outcome.kind === "changed") await catchUp();
  return outcome;
}

/** Two administrators who demote each other at once would otherwise both find that one is left. */
export async function lockAdministrators(transaction: Prisma.TransactionClient): Promise<readonly string[]> {
  const rows = await transaction.$queryRaw<{ id: string }[]>`
    SELECT id FROM users WHERE role = 'ADMIN' AND status = 'ACTIVE' ORDER BY id FOR UPDATE`;
  return rows.map((row) => row.id);
}
