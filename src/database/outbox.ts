import { v7 as uuidv7 } from "uuid";
import type { Queries } from "./database.ts";
import type { Prisma, PrismaClient } from "./generated/client.ts";

/** What a mail can be about, with what it has to know beyond its user and session. */
export interface MailDetails {
  /** Somebody logged in from a device or a network that is new for this user. */
  readonly signIn: Record<string, never>;
  /** Somebody asked for a link to reset the password of this email, which may be nobody's. */
  readonly passwordReset: { readonly email: string };
  readonly passwordChanged: { readonly ipAddress: string | null };
  /** Somebody wants to sign up with this email, which may be taken. */
  readonly signUp: { readonly email: string; readonly name: string; readonly passwordHash: string };
  /** A session's token came from another network and another device at once. */
  readonly unusualActivity: {
    readonly ipAddress: string | null;
    readonly userAgent: string | null;
    readonly ended: boolean;
  };
}

export type MailKind = keyof MailDetails;

/** A mail that waits to be sent. */
export type OutboxItem = {
  readonly [Kind in MailKind]: {
    readonly id: string;
    readonly kind: Kind;
    readonly userId: string | null;
    readonly sessionId: string | null;
    readonly details: MailDetails[Kind];
    readonly createdAt: Date;
    readonly attempts: number;
  };
}[MailKind];

export interface Recipient {
  readonly userId?: string;
  readonly sessionId?: string;
}

/**
 * Writes down a mail to be sent, as part of the transaction that it tells of: it is sent if that commits, at least once,
 * by whichever node comes to it, also when the one that wrote it crashes.
 */
export async function enqueueMail<Kind extends MailKind>(
  queries: Queries,
  kind: Kind,
  recipient: Recipient,
  details: MailDetails[Kind],
): Promise<void> {
  const id = uuidv7();
  await queries.outboxItem.create({
    data: { id, kind, ...recipient, details: { ...details } satisfies Prisma.InputJsonObject },
  });
}

/** The first wait before a mail is tried again; each further one is twice as long, up to an hour. */
const FIRST_RETRY_S = 30;
const LONGEST_RETRY_S = 3_600;

/**
 * Takes mails whose time has come, each for this node alone until its next attempt is due. Whoever takes one deletes it
 * once it is sent; if the node crashes in between, another takes it then.
 */
export async function takeMails(prisma: PrismaClient, limit: number): Promise<readonly OutboxItem[]> {
  const rows = await prisma.$queryRaw<{ id: string }[]>`
    UPDATE outbox SET attempts = attempts + 1, next_attempt_at = clock_timestamp() + make_interval(secs =>
      least(${FIRST_RETRY_S}::float8 * power(2, attempts), ${LONGEST_RETRY_S}::float8))
    WHERE id IN (
      SELECT id FROM outbox WHERE next_attempt_at <= clock_timestamp()
      ORDER BY next_attempt_at LIMIT ${limit} FOR UPDATE SKIP LOCKED
    )
    RETURNING id`;
  const items = await prisma.outboxItem.findMany({ where: { id: { in: rows.map(({ id }) => id) } } });
  return items as unknown as readonly OutboxItem[];
}

export async function deleteMail(prisma: PrismaClient, id: string): Promise<void> {
  await prisma.outboxItem.deleteMany({ where: { id } });
}
