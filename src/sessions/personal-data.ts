import { change } from "../database/change.ts";
import type { PrismaClient, Session, SessionEvent, User } from "../database/generated/client.ts";
import { lockAdministrators } from "../users/administer.ts";
import { forgetAddressesOf } from "./old-addresses.ts";

/** What the service knows of one person: without secrets, and without what others did elsewhere. */
export interface PersonalData {
  readonly user: Omit<User, "passwordHash">;
  readonly sessions: readonly Omit<Session, SecretOfSession>[];
  /** Of their sessions, the oldest first; ids are decimal strings. */
  readonly events: readonly OwnEvent[];
  /** How many devices and networks are known by a digest, to tell new ones from. */
  readonly knownOrigins: number;
}

type SecretOfSession = "tokenHash" | "previousTokenHash" | "reportTokenHash";
type OwnEvent = Pick<SessionEvent, "type" | "at" | "sessionId" | "actorId" | "reason" | "ipAddress"> & {
  readonly id: string;
};

/** What is kept of a user, for them to read (GDPR, Article 15). */
export async function exportPersonalData(prisma: PrismaClient, user: User): Promise<PersonalData> {
  const { passwordHash: _, ...known } = user;
  const sessions = await prisma.session.findMany({
    where: { userId: user.id },
    omit: { tokenHash: true, previousTokenHash: true, reportTokenHash: true },
    orderBy: { createdAt: "asc" },
  });
  const events = await prisma.sessionEvent.findMany({
    where: { userId: user.id },
    select: { id: true, type: true, at: true, sessionId: true, actorId: true, reason: true, ipAddress: true },
    orderBy: { id: "asc" },
  });
  return {
    user: known,
    sessions,
    // Who else acted is that person's data, not this one's.
    events: events.map(({ id, actorId, ipAddress, ...event }) => {
      const isOwn = actorId === null || actorId === user.id;
      return {
        ...event,
        id: String(id),
        actorId: isOwn ? actorId : null,
        ipAddress: isOwn ? ipAddress : null,
      };
    }),
    knownOrigins: await prisma.knownOrigin.count({ where: { userId: user.id } }),
  };
}

export type DeletionOutcome =
  | { readonly kind: "deleted"; readonly revokedCount: number }
  | { readonly kind: "lastAdministrator" }
  | { readonly kind: "notFound" };

/**
 * Deletes a user with all that is theirs, which logs them out everywhere. What the log has of them stays, as P6 promises,
 * with an id that leads to nobody any more and without their addresses. All of it happens, or nothing.
 */
export async function deleteUser(prisma: PrismaClient, userId: string): Promise<DeletionOutcome> {
  return change(prisma, {}, async (transaction): Promise<DeletionOutcome> => {
    const administrators = await lockAdministrators(transaction);
    if (administrators.length === 1 && administrators[0] === userId) return { kind: "lastAdministrator" };
    const [user] = await transaction.$queryRaw<{ email: string }[]>`
      SELECT email FROM users WHERE id = ${userId}::uuid FOR UPDATE`;
    if (!user) return { kind: "notFound" };
    const revokedCount = await transaction.session.count({ where: { userId, revokedAt: null } });
    await transaction.pendingSignUp.deleteMany({ where: { email: user.email } });
    // Before the deletion, which takes the lock of the log. Nobody logs in meanwhile: the user is locked.
    await forgetAddressesOf(transaction, userId);
    await transaction.user.delete({ where: { id: userId } });
    return { kind: "deleted", revokedCount };
  });
}
