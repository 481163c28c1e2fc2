import type { PrismaClient } from "../database/generated/client.ts";

/** How many sessions one statement writes. */
const BATCH_SIZE = 5_000;

/** When sessions were used on this node, on its way to the database in batches, never on a request's path. */
export interface LastSeen {
  readonly record: (sessionId: string, now: number) => void;
  /** Writes what was recorded since the last time. Throws when the database does; nothing is lost then. */
  readonly flush: () => Promise<void>;
}

export function createLastSeen(prisma: PrismaClient): LastSeen {
  const unwritten = new Map<string, number>();

  async function write(batch: readonly (readonly [string, number])[]): Promise<void> {
    const ids = batch.map(([sessionId]) => sessionId);
    const times = batch.map(([, now]) => new Date(now).toISOString());
    await prisma.$executeRaw`
      UPDATE sessions SET last_seen_at = seen.at
      FROM unnest(${ids}::text[], ${times}::text[]) AS given(id, at),
           LATERAL (SELECT given.id::uuid AS id, given.at::timestamptz AS at) AS seen
      WHERE sessions.id = seen.id AND sessions.revoked_at IS NULL AND sessions.last_seen_at < seen.at`;
    for (const [sessionId, now] of batch) {
      if (unwritten.get(sessionId) === now) unwritten.delete(sessionId);
    }
  }

  return {
    record: (sessionId, now) => void unwritten.set(sessionId, now),
    async flush() {
      // In the order of ids: two nodes that write the same sessions then wait for each other, not for ever.
      const all = [...unwritten].sort(([left], [right]) => (left < right ? -1 : 1));
      for (let start = 0; start < all.length; start += BATCH_SIZE) {
        await write(all.slice(start, start + BATCH_SIZE));
      }
    },
  };
}
