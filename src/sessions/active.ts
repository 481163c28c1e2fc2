import type { Prisma } from "../database/generated/client.ts";
import type { ValidityRules } from "../revocation/validity.ts";

/** The same as `judge`, for the database to select by: sessions that are valid at `now`. */
export function activeSessions(now: number, rules: ValidityRules): Prisma.SessionWhereInput {
  const where: Prisma.SessionWhereInput = {
    revokedAt: null,
    expiresAt: { gt: new Date(now) },
    user: { status: "ACTIVE" },
  };
  if (Number.isFinite(rules.idleTimeoutMs)) {
    const usedAfter = new Date(now - rules.idleTimeoutMs);
    where.OR = [{ lastSeenAt: { gt: usedAfter } }, { scopes: { isEmpty: false } }];
  }
  return where;
}
