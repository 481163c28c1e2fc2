import type { RevocationReason } from "./reasons.ts";
import { toRevocationReason } from "./reasons.ts";

/** What the validity of a session depends on, besides the time. */
export interface SessionTimes {
  readonly lastSeenAt: Date;
  readonly expiresAt: Date;
  readonly revokedAt: Date | null;
  readonly revocationReason: string | null;
  /** Of a service account, which does not fall idle; empty: a person's session. */
  readonly scopes: readonly string[];
}

export interface ValidityRules {
  /** A session that was not used for this long ends. Milliseconds; infinite: never. */
  readonly idleTimeoutMs: number;
}

export type Validity =
  /** `until` is when time alone will end it, in milliseconds since the epoch. */
  | { readonly valid: true; readonly until: number }
  | {
      readonly valid: false;
      readonly reason: RevocationReason;
      readonly since: Date;
      /** Whether only the time ended it: the database does not know yet, and may know better. */
      readonly due: boolean;
    };

/**
 * Whether a session is valid at `now` (the database's time, milliseconds since the epoch), or why not and
 * since when. Everything that accepts a session asks this function.
 */
export function judge(
  session: SessionTimes,
  user: { readonly status: string },
  now: number,
  rules: ValidityRules,
): Validity {
  if (session.revokedAt) {
    const reason = toRevocationReason(session.revocationReason);
    return { valid: false, reason, since: session.revokedAt, due: false };
  }
  // A deactivation revokes in the same transaction, so this is the second lock on the same door.
  if (user.status !== "ACTIVE") {
    return { valid: false, reason: "USER_DEACTIVATED", since: new Date(now), due: false };
  }
  const expiresAt = session.expiresAt.getTime();
  const idleTimeoutMs = session.scopes.length > 0 ? Number.POSITIVE_INFINITY : rules.idleTimeoutMs;
  const idleAt = session.lastSeenAt.getTime() + idleTimeoutMs;
  const until = Math.min(expiresAt, idleAt);
  if (now < until) return { valid: true, until };
  const reason = expiresAt <= idleAt ? "EXPIRED" : "IDLE_TIMEOUT";
  return { valid: false, reason, since: new Date(until), due: true };
}
