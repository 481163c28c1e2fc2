import { change } from "../database/change.ts";
import type { Prisma, PrismaClient } from "../database/generated/client.ts";
import type { Actor } from "./revoke.ts";

/** Who ends sessions by policy. That they may is the caller's to know. */
interface PolicyRevoker extends Actor {
  /** Their own session, which is spared. */
  readonly sessionId?: string | undefined;
}

/** How many sessions one statement ends: until it has committed, logins and other revocations wait for it. */
const BATCH_SIZE = 5_000;

export interface PolicyRooms {
  readonly prisma: PrismaClient;
  /** The database's time in milliseconds since the epoch. */
  readonly now: () => number;
  /** Resolves once this node has applied what was committed so far. */
  readonly catchUp: () => Promise<void>;
}

/** Sessions to end; the revoker's own is always spared. */
export type Policy = Prisma.SessionWhereInput;

/** How many sessions {@link revokeByPolicy} would end. */
export function countByPolicy(
  { prisma, now }: PolicyRooms,
  revoker: PolicyRevoker,
  policy: Policy,
): Promise<number> {
  return prisma.session.count({ where: scope(policy, revoker, new Date(now())) });
}

/**
 * Ends every session that fits and was begun before the call, batch by batch, with the reason POLICY, and says how
 * many. Each batch is committed on its own: after a crash a repetition ends the rest. `mayGoOn` is asked before
 * each, and stops it by throwing; `onBatch` hears how many were ended so far.
 */
export async function revokeByPolicy(
  { prisma, now, catchUp }: PolicyRooms,
  revoker: PolicyRevoker,
  policy: Policy,
  progress: { readonly mayGoOn: () => unknown; readonly onBatch: (revokedCount: number) => void },
): Promise<number> {
  const fits = scope(policy, revoker, new Date(now()));
  const settings = { actorId: revoker.userId, ipAddress: revoker.ipAddress };
  let revokedCount = 0;
  for (let after: string | undefined; ; ) {
    progress.mayGoOn();
    const batch = await prisma.session.findMany({
      where: { AND: [fits, after === undefined ? {} : { id: { gt: after } }] },
      select: { id: true },
      orderBy: { id: "asc" },
      take: BATCH_SIZE,
    });
    const last = batch.at(-1)?.id;
    if (last === undefined) break;
    const { count } = await change(prisma, settings, (transaction) =>
      transaction.session.updateMany({
        // Asked again in the statement itself: a session that was used meanwhile may fit no more.
        where: { AND: [fits, { id: { lte: last } }, after === undefined ? {} : { id: { gt: after } }] },
        data: { revokedAt: new Date(now()), revocationReason: "POLICY" },
      }),
    );
    revokedCount += count;
    progress.onBatch(revokedCount);
    after = last;
  }
  await catchUp();
  return revokedCount;
}

/** Sessions that begin meanwhile are left out: people who log in again would keep it going for ever. */
function scope(policy: Policy, revoker: PolicyRevoker, startedAt: Date): Prisma.SessionWhereInput {
  return {
    AND: [
      policy,
      { revokedAt: null, createdAt: { lte: startedAt } },
      revoker.sessionId === undefined ? {} : { id: { not: revoker.sessionId } },
    ],
  };
}
