import type { PrismaClient } from "../database/generated/client.ts";
import type { ValidityRules } from "../revocation/validity.ts";

/** How many sessions one statement ends; other writers of the log wait for it. */
const BATCH_SIZE = 1_000;

export interface SweepOptions {
  /** How long a use of a session may take to be written: it is not idle that was used just now on another node. */
  readonly graceMs: number;
  /** Breaks off between two batches. */
  readonly stopping?: AbortSignal;
}

/**
 * Ends the sessions whose time has come on no node in particular, so that the log says so, and says how many. Any
 * node may do it, at the same time as others. Throws when the database does.
 */
export async function sweepDueSessions(
  prisma: PrismaClient,
  rules: ValidityRules,
  { graceMs, stopping }: SweepOptions,
): Promise<number> {
  const idleMs = rules.idleTimeoutMs + graceMs;
  const idleSeconds = Number.isFinite(idleMs) ? idleMs / 1_000 : null;
  let swept = 0;
  for (let ended = BATCH_SIZE; ended === BATCH_SIZE && !stopping?.aborted; swept += ended) {
    ended = await prisma.$executeRaw`
      UPDATE sessions SET revoked_at = now(), revocation_reason =
        CASE WHEN expires_at <= now() THEN 'EXPIRED' ELSE 'IDLE_TIMEOUT' END
      WHERE id IN (
        SELECT id FROM sessions
        WHERE revoked_at IS NULL
          AND (expires_at <= now()
               OR (last_seen_at <= now() - make_interval(secs => ${idleSeconds}::float8) AND scopes = '{}'))
        LIMIT ${BATCH_SIZE} FOR UPDATE SKIP LOCKED
      )`;
  }
  return swept;
}
