import type { Logger } from "pino";
import type { PrismaClient } from "../database/generated/client.ts";
import { deleteMail, type OutboxItem, takeMails } from "../database/outbox.ts";
import type { Message } from "./messages.ts";
import type { MailTransport } from "./transport.ts";

/** How many mails are taken at once; each waits for the mail server. */
const BATCH_SIZE = 10;
/** What could not be sent for so long is of no use to anybody any more. */
const GIVE_UP_AFTER_MS = 24 * 3_600_000;

export interface DeliveryRooms {
  readonly prisma: PrismaClient;
  readonly transport: MailTransport;
  readonly compose: (item: OutboxItem) => Promise<Message | undefined>;
  /** The database's time in milliseconds since the epoch. */
  readonly now: () => number;
  readonly log: Logger;
}

/**
 * Sends the mails whose time has come. Any node may do it, at the same time as others. What fails is tried again later, by
 * this node or another. Throws when the database does.
 */
export async function deliverMails(rooms: DeliveryRooms, stopping: AbortSignal): Promise<void> {
  for (let count = BATCH_SIZE; count === BATCH_SIZE && !stopping.aborted; ) {
    const items = await takeMails(rooms.prisma, BATCH_SIZE);
    count = items.length;
    const sent = Promise.all([...byRecipient(items)].map((mails) => deliverInTurn(rooms, mails)));
    // A node that stops does not wait for a mail server: what is under way is sent by another node once more.
    await unlessStopped(sent, stopping);
  }
}

/** The mails of one user in the order that they were written: of two links the one that was mailed last is good. */
function byRecipient(items: readonly OutboxItem[]): Iterable<readonly OutboxItem[]> {
  const inOrder = items.toSorted((left, right) => (left.id < right.id ? -1 : 1));
  const recipientOf = ({ userId, details }: OutboxItem) => ("email" in details ? details.email : userId);
  return Map.groupBy(inOrder, recipientOf).values();
}

async function deliverInTurn(rooms: DeliveryRooms, items: readonly OutboxItem[]): Promise<void> {
  for (const item of items) await deliver(rooms, item);
}

async function deliver(
  { prisma, transport, compose, now, log }: DeliveryRooms,
  item: OutboxItem,
): Promise<void> {
  const { id, kind, attempts } = item;
  try {
    const message = await compose(item);
    if (message) await transport.send(id, message);
  } catch (error) {
    const isHopeless = now() - item.createdAt.getTime() > GIVE_UP_AFTER_MS;
    log.error({ err: error, id, kind, attempts, isHopeless }, "a mail could not be sent");
    if (!isHopeless) return;
  }
  await deleteMail(prisma, id);
}

/** Waits for the work, but no longer than until the signal; listens to it no longer than that, because the signal outlives it. */
function unlessStopped(work: Promise<unknown>, stopping: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => resolve();
    stopping.addEventListener("abort", stop);
    if (stopping.aborted) stop();
    work.then(() => resolve(), reject).finally(() => stopping.removeEventListener("abort", stop));
  });
}
