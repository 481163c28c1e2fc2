import { Prisma, type PrismaClient } from "../database/generated/client.ts";
import { type RevocationReason, toRevocationReason } from "../revocation/reasons.ts";

/** A stretch of time, as the log tells of it. */
export interface StatisticsInterval {
  readonly start: Date;
  /** Sessions that were not revoked when it began. */
  readonly activeSessions: number;
  readonly signIns: number;
  readonly revocations: ReadonlyMap<RevocationReason, number>;
}

interface Row {
  /** Counted from 0; as many as there are intervals: what came after the last one. Null: sessions that are not revoked now. */
  readonly interval: number | null;
  readonly type: string | null;
  readonly reason: string | null;
  readonly count: bigint;
}

/**
 * What happened between two moments, in so many intervals of one length. How many sessions there were is reckoned back
 * from how many there are, so it is right as far back as the log is kept.
 */
export async function readStatistics(
  prisma: PrismaClient,
  span: { readonly from: Date; readonly until: Date; readonly intervals: number },
): Promise<readonly StatisticsInterval[]> {
  const { from, until, intervals } = span;
  const lengthMs = (until.getTime() - from.getTime()) / intervals;
  // One statement, so that the sessions and the events are those of one moment.
  const rows = await prisma.$queryRaw<Row[]>(Prisma.sql`
    SELECT least(floor(extract(epoch FROM at - ${from}::timestamptz) * 1000 / ${lengthMs}::float8), ${intervals}::int)::int AS interval,
           type, reason, count(*) AS count
      FROM session_event
     WHERE at >= ${from}::timestamptz AND type IN ('SESSION_CREATED', 'SESSION_REVOKED')
     GROUP BY 1, 2, 3
    UNION ALL
    SELECT NULL, NULL, NULL, count(*) FROM sessions WHERE revoked_at IS NULL`);

  let activeSessions = Number(rows.find(({ interval }) => interval === null)?.count ?? 0);
  const result: StatisticsInterval[] = [];
  for (let index = intervals; index >= 0; index--) {
    const revocations = new Map<RevocationReason, number>();
    let signIns = 0;
    for (const row of rows) {
      if (row.interval !== index) continue;
      const count = Number(row.count);
      if (row.type === "SESSION_CREATED") {
        signIns += count;
        activeSessions -= count;
      } else {
        const reason = toRevocationReason(row.reason);
        revocations.set(reason, (revocations.get(reason) ?? 0) + count);
        activeSessions += count;
      }
    }
    if (index === intervals) continue;
    const start = new Date(from.getTime() + index * lengthMs);
    result.unshift({ start, activeSessions, signIns, revocations });
  }
  return result;
}
