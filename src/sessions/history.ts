import type { PrismaClient, SessionEvent as SessionEventRow } from "../database/generated/client.ts";
import type { EventFilter, FeedPage } from "../revocation/feed.ts";
import type { Anchor, SessionEvent } from "../revocation/log.ts";

/** How many events a follower that fell behind takes from the database at a time. */
const PAGE_SIZE = 200;

/** Reads the log for a follower that is behind what its node remembers. Throws when the database does. */
export async function readHistory(
  prisma: PrismaClient,
  cursor: bigint,
  { userId }: EventFilter,
): Promise<FeedPage> {
  // The head first: a matching event up to it that the page lacks cannot come any more.
  const { _max } = await prisma.sessionEvent.aggregate({ _max: { id: true } });
  const rows = await prisma.sessionEvent.findMany({
    where: { id: { gt: cursor }, ...(userId === undefined ? {} : { userId }) },
    orderBy: { id: "asc" },
    take: PAGE_SIZE,
  });
  const searchedTo = [cursor, rows.at(-1)?.id ?? 0n, rows.length < PAGE_SIZE ? (_max.id ?? 0n) : 0n];
  return { events: rows.map(toSessionEvent), cursor: searchedTo.reduce((a, b) => (a > b ? a : b)) };
}

/** Whether the log still has this very event. */
export async function isInHistory(prisma: PrismaClient, { id, rowHash }: Anchor): Promise<boolean> {
  const row = await prisma.sessionEvent.findUnique({ where: { id: BigInt(id) } });
  return row !== null && toSessionEvent(row).rowHash === rowHash;
}

export function toSessionEvent({ id, rowHash, ...row }: SessionEventRow): SessionEvent {
  return { ...row, id: String(id), rowHash: Buffer.from(rowHash).toString("hex") };
}

/**
 * Whether the log still has the event that a cursor stands for; 0 stands for its beginning. If not, following from
 * there would silently leave a gap.
 */
export async function findCursor(
  prisma: PrismaClient,
  cursor: bigint,
): Promise<{ readonly isKnown: boolean; readonly oldest: bigint | null }> {
  const { _min } = await prisma.sessionEvent.aggregate({ _min: { id: true } });
  const oldest = _min.id;
  if (cursor !== 0n) {
    return { isKnown: (await prisma.sessionEvent.findUnique({ where: { id: cursor } })) !== null, oldest };
  }
  // The beginning is there as long as nothing was deleted from it: the first row is chained to nothing.
  const first = oldest === null ? null : await prisma.sessionEvent.findUnique({ where: { id: oldest } });
  return { isKnown: first === null || first.previousHash.length === 0, oldest };
}
