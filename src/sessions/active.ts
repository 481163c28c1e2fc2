import type { Prisma } from "../database/generated/client.ts";
import type { ValidityRules } from "../revocation/validity.ts";
import { SERVICE_ROLE } from "../users/roles.ts";

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

type Maybe<T> = T | null | undefined;

/** Which sessions; everything that is given must fit. */
export interface SessionFilter {
  readonly userId?: Maybe<string>;
  readonly role?: Maybe<string>;
  readonly createdBefore?: Maybe<Date>;
  readonly lastSeenBefore?: Maybe<Date>;
  readonly ipAddress?: Maybe<string>;
}

/** The active sessions that fit a filter. Those of service accounts only if their user is named: the others are about people. */
export function sessionsMatching(
  filter: SessionFilter,
  now: number,
  rules: ValidityRules,
): Prisma.SessionWhereInput {
  const conditions = [activeSessions(now, rules)];
  if (filter.userId) conditions.push({ userId: filter.userId });
  else conditions.push({ user: { role: { not: SERVICE_ROLE } } });
  if (filter.role) conditions.push({ user: { role: filter.role } });
  if (filter.createdBefore) conditions.push({ createdAt: { lt: filter.createdBefore } });
  if (filter.lastSeenBefore) conditions.push({ lastSeenAt: { lt: filter.lastSeenBefore } });
  if (filter.ipAddress) conditions.push({ ipAddress: filter.ipAddress });
  return { AND: conditions };
}
