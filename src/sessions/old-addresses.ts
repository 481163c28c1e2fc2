import type { Prisma, PrismaClient } from "../database/generated/client.ts";
import { networkOf, ONE_SITE } from "../users/network.ts";

/** How many rows one statement changes, so that no lock is held for long. */
const BATCH_SIZE = 1_000;
/** What is left of an address that is dropped. Prisma takes no NULL within an array. */
const NOTHING = "";

export interface AddressRules {
  /** How long the address is kept that somebody logged in from, or did something from. Milliseconds. */
  readonly addressRetentionMs: number;
  /** What becomes of it then: nothing is left, or its network (an IPv4 /24, an IPv6 /48). */
  readonly oldAddresses: "drop" | "shorten";
}

interface Addressed {
  readonly id: string;
  readonly ip_address: string;
}

/**
 * Drops or shortens the addresses of sessions and events that are older than the rules allow; says how many.
 * The chain of the log stays whole: it has only salted digests of them, and the salts go too. Any node may do it, at the
 * same time as others; `stopping` breaks off between two batches. Throws when the database does.
 */
export async function forgetAddresses(
  prisma: PrismaClient,
  { addressRetentionMs, oldAddresses }: AddressRules,
  stopping?: AbortSignal,
): Promise<number> {
  const keptSeconds = addressRetentionMs / 1_000;
  const isShortening = oldAddresses === "shorten";
  const remainder = ({ ip_address }: Addressed) => (isShortening ? toSite(ip_address) : NOTHING);
  const ofSessions = () => prisma.$queryRaw<Addressed[]>`
    SELECT id::text, ip_address FROM sessions
    WHERE ip_address IS NOT NULL AND created_at < now() - make_interval(secs => ${keptSeconds}::float8)
      AND NOT (${isShortening} AND ip_address LIKE '%/%')
    ORDER BY created_at LIMIT ${BATCH_SIZE}`;
  const ofEvents = () => prisma.$queryRaw<Addressed[]>`
    SELECT id::text, ip_address FROM session_event
    WHERE ip_address IS NOT NULL AND at < now() - make_interval(secs => ${keptSeconds}::float8)
      AND NOT (${isShortening} AND ip_address LIKE '%/%')
    ORDER BY at LIMIT ${BATCH_SIZE}`;

  let total = 0;
  for (const [read, write] of [
    [ofSessions, writeToSessions],
    [ofEvents, writeToEvents],
  ] as const) {
    for (let found = BATCH_SIZE; found === BATCH_SIZE && !stopping?.aborted; total += found) {
      const batch = await read();
      found = batch.length;
      const ids = batch.map((row) => row.id);
      if (found > 0) await write(prisma, ids, batch.map(remainder));
    }
  }
  return total;
}

/** Drops the addresses of all events that are about this user or were brought about by them; says how many. */
export async function forgetAddressesOf(
  transaction: Prisma.TransactionClient,
  userId: string,
): Promise<number> {
  await transaction.$executeRaw`SELECT set_config('live_logout.retention', 'on', true)`;
  return transaction.$executeRaw`
    UPDATE session_event SET ip_address = NULL, ip_salt = NULL
    WHERE ip_address IS NOT NULL AND (user_id = ${userId}::uuid OR actor_id = ${userId}::uuid)`;
}

/** What is no address, though a proxy said so, has no network and is dropped. */
function toSite(ipAddress: string): string {
  const network = networkOf(ipAddress, ONE_SITE);
  return network.includes("/") ? network : NOTHING;
}

async function writeToSessions(
  prisma: PrismaClient,
  ids: readonly string[],
  remainders: readonly string[],
): Promise<void> {
  await prisma.$executeRaw`
    UPDATE sessions SET ip_address = nullif(old.remainder, ${NOTHING})
    FROM unnest(${ids}::uuid[], ${remainders}::text[]) AS old(id, remainder) WHERE sessions.id = old.id`;
}

async function writeToEvents(
  prisma: PrismaClient,
  ids: readonly string[],
  remainders: readonly string[],
): Promise<void> {
  await prisma.$transaction([
    prisma.$executeRaw`SELECT set_config('live_logout.retention', 'on', true)`,
    prisma.$executeRaw`
      UPDATE session_event SET ip_address = nullif(old.remainder, ${NOTHING}), ip_salt = NULL
      FROM unnest(${ids}::bigint[], ${remainders}::text[]) AS old(id, remainder) WHERE session_event.id = old.id`,
  ]);
}
