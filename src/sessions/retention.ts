import type { PrismaClient } from "../database/generated/client.ts";
import { type AddressRules, forgetAddresses } from "./old-addresses.ts";

/** How many rows one statement deletes, so that no lock is held for long. */
const BATCH_SIZE = 1_000;

export interface RetentionRules extends AddressRules {
  /** How long after its end a session is kept. Milliseconds. */
  readonly sessionRetentionMs: number;
  /** How long an event is kept. Milliseconds. */
  readonly eventRetentionMs: number;
}

/** How many rows were deleted. */
export interface Deleted {
  readonly sessions: number;
  readonly events: number;
  /** Addresses that were dropped or shortened: of sessions and of events. */
  readonly addresses: number;
  /** Links, counters and known devices whose time is over. */
  readonly leftovers: number;
}

/**
 * Deletes sessions that ended long ago, and the log's oldest events, never the newest, which anchors every node's
 * cursor; and forgets the addresses of what is left of long ago. Any node may do it, at the same time as others; `stopping` breaks off between two batches. Throws when the
 * database does.
 */
export async function deleteOutdated(
  prisma: PrismaClient,
  rules: RetentionRules,
  stopping?: AbortSignal,
): Promise<Deleted> {
  const inBatches = async (deleteBatch: () => Promise<number>): Promise<number> => {
    let total = 0;
    for (let deleted = BATCH_SIZE; deleted === BATCH_SIZE && !stopping?.aborted; total += deleted) {
      deleted = await deleteBatch();
    }
    return total;
  };
  return {
    sessions: await inBatches(() => deleteSessions(prisma, rules.sessionRetentionMs)),
    events: await inBatches(() => deleteEvents(prisma, rules.eventRetentionMs)),
    addresses: await forgetAddresses(prisma, rules, stopping),
    leftovers: await deleteLeftovers(prisma),
  };
}

/** A device that was not used for so long is new when it comes back. */
const ORIGINS_KEPT_DAYS = 400;

async function deleteLeftovers(prisma: PrismaClient): Promise<number> {
  const deleted = [
    await prisma.$executeRaw`DELETE FROM password_resets WHERE expires_at < now()`,
    await prisma.$executeRaw`DELETE FROM pending_sign_ups WHERE expires_at < now()`,
    await prisma.$executeRaw`DELETE FROM rate_limits WHERE expire < extract(epoch FROM now()) * 1000 - 3600000`,
    await prisma.$executeRaw`
      DELETE FROM known_origins WHERE last_seen_at < now() - make_interval(days => ${ORIGINS_KEPT_DAYS}::int)`,
  ];
  return deleted.reduce((sum, count) => sum + count, 0);
}

function deleteSessions(prisma: PrismaClient, retentionMs: number): Promise<number> {
  return prisma.$executeRaw`
    DELETE FROM sessions WHERE id IN (
      SELECT id FROM sessions WHERE revoked_at < now() - make_interval(secs => ${retentionMs / 1_000}::float8)
      LIMIT ${BATCH_SIZE} FOR UPDATE SKIP LOCKED
    )`;
}

/** From the beginning up to the first event that is to be kept, so that what is left is still one chain. */
async function deleteEvents(prisma: PrismaClient, retentionMs: number): Promise<number> {
  const [, deleted] = await prisma.$transaction([
    prisma.$executeRaw`SELECT set_config('live_logout.retention', 'on', true)`,
    prisma.$executeRaw`
      WITH oldest AS (
        SELECT id, at < now() - make_interval(secs => ${retentionMs / 1_000}::float8) AS is_outdated
        FROM session_event
        WHERE id < (SELECT max(id) FROM session_event) ORDER BY id LIMIT ${BATCH_SIZE}
      )
      DELETE FROM session_event WHERE id IN (
        SELECT id FROM oldest WHERE id < coalesce((SELECT min(id) FROM oldest WHERE NOT is_outdated), id + 1)
      )`,
  ]);
  return deleted;
}
