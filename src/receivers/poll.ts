import { z } from "zod";
import type { EventReceiver, PrismaClient } from "../database/generated/client.ts";
import type { Signer } from "../sessions/signing-keys.ts";
import { eventIdOf, SECURITY_EVENT_TYPE, securityEventClaims, tokenIdOf } from "./security-event.ts";

/** How many tokens one answer holds at most. */
const MAX_EVENTS = 100;

/** A poll: RFC 8936, 2.2. */
export const pollSchema = z.object({
  maxEvents: z.number().int().min(0).optional(),
  returnImmediately: z.boolean().optional(),
  ack: z.array(z.string()).max(1_000).optional(),
  setErrs: z
    .record(z.string(), z.object({ err: z.string().max(200), description: z.string().max(2_000).optional() }))
    .optional(),
});

export type Poll = z.infer<typeof pollSchema>;

/** What a receiver is given: RFC 8936, 2.3. */
export interface PollAnswer {
  readonly sets: Readonly<Record<string, string>>;
  readonly moreAvailable: boolean;
}

interface PollRooms {
  readonly prisma: PrismaClient;
  readonly signer: Signer;
}

/**
 * Notes what a receiver has: its cursor moves past what was acknowledged without a gap. What it could not make sense of counts
 * too, or it would be given the same for ever; it is kept for the operator to see.
 */
export async function acknowledge(
  { prisma }: Pick<PollRooms, "prisma">,
  receiver: EventReceiver,
  { ack = [], setErrs = {} }: Poll,
): Promise<EventReceiver> {
  const done = new Set([...ack, ...Object.keys(setErrs)].map((tokenId) => eventIdOf(receiver.id, tokenId)));
  done.delete(undefined);
  if (done.size === 0) return receiver;
  let { cursor } = receiver;
  for (const { id } of await nextRevocations(prisma, cursor, done.size)) {
    if (!done.has(id)) break;
    cursor = id;
  }
  const [[, refused] = []] = Object.entries(setErrs);
  return prisma.eventReceiver.update({
    where: { id: receiver.id },
    data: { cursor, deliveredAt: new Date(), lastError: refused ? refused.err : null },
  });
}

/** The oldest tokens that the receiver has not acknowledged. */
export async function pendingTokens(
  { prisma, signer }: PollRooms,
  receiver: EventReceiver,
  { maxEvents = MAX_EVENTS }: Poll,
): Promise<PollAnswer> {
  const limit = Math.min(maxEvents, MAX_EVENTS);
  const events = await nextRevocations(prisma, receiver.cursor, limit + 1);
  const sets: Record<string, string> = {};
  for (const event of events.slice(0, limit)) {
    const claims = securityEventClaims(receiver, event);
    sets[tokenIdOf(receiver.id, event.id)] = await signer.sign(claims, { type: SECURITY_EVENT_TYPE });
  }
  return { sets, moreAvailable: events.length > limit };
}

function nextRevocations(prisma: PrismaClient, cursor: bigint, limit: number) {
  return prisma.sessionEvent.findMany({
    where: { id: { gt: cursor }, type: "SESSION_REVOKED" },
    orderBy: { id: "asc" },
    take: limit,
  });
}
