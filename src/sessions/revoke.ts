import { validate as isUuid } from "uuid";
import { type ChangeSettings, change } from "../database/change.ts";
import type { PrismaClient, Session } from "../database/generated/client.ts";
import type { RevocationReason } from "../revocation/reasons.ts";
import type { ValidityRules } from "../revocation/validity.ts";

/** Who revokes, and what they may: their own sessions, or anybody's. */
export interface Revoker {
  readonly userId: string;
  readonly sessionId: string;
  readonly mayEndAnySessions: boolean;
  /** Whether they proved lately that they are at the device, as ending others of their own sessions needs. */
  readonly isRecent: boolean;
  readonly ipAddress: string | undefined;
}

export interface RevokeRooms {
  readonly prisma: PrismaClient;
  /** Resolves once this node has applied what was committed so far, so that whoever gets the answer finds it so. */
  readonly catchUp: () => Promise<void>;
}

/** Ends the session that asks for it. */
export async function logOut(rooms: RevokeRooms, revoker: Revoker): Promise<Session> {
  const session = await end(rooms, revoker, revoker.sessionId, "LOGOUT");
  if (!session) throw new Error("the session that asks is not in the database");
  return session;
}

/**
 * Ends one session, by its id. Repeating it changes nothing and gives the same answer. Undefined if there is no
 * such session, or it is another user's and the revoker may not know of it. `notRecent`: it is one of their own, and
 * not the one that asks (OWASP ASVS 5.0, 7.5.2).
 */
export async function revokeSession(
  rooms: RevokeRooms,
  revoker: Revoker,
  sessionId: string,
): Promise<Session | "notRecent" | undefined> {
  if (!isUuid(sessionId)) return undefined;
  const session = await rooms.prisma.session.findUnique({ where: { id: sessionId } });
  if (!session) return undefined;
  const isOwn = session.userId === revoker.userId;
  if (!isOwn && !revoker.mayEndAnySessions) return undefined;
  if (isOwn && session.id !== revoker.sessionId && !revoker.isRecent) return "notRecent";
  return end(rooms, revoker, sessionId, isOwn ? "REVOKED_BY_USER" : "REVOKED_BY_ADMIN");
}

/** Who does something, for the log. Without a user it is the system, or an operator at the command line. */
export interface Actor {
  readonly userId?: string | undefined;
  readonly ipAddress?: string | undefined;
}

/** Ends a session that is not the administrator's own. */
export function endByAdministrator(
  rooms: RevokeRooms,
  administrator: Actor,
  sessionId: string,
): Promise<Session | undefined> {
  return end(rooms, administrator, sessionId, "REVOKED_BY_ADMIN");
}

async function end(
  { prisma, catchUp }: RevokeRooms,
  revoker: Actor,
  sessionId: string,
  reason: RevocationReason,
): Promise<Session | undefined> {
  const session = await change(prisma, actor(revoker), async (transaction) => {
    // In one statement that spares what is revoked already: the first reason stays.
    await transaction.$executeRaw`
      UPDATE sessions SET revoked_at = now(), revocation_reason = ${reason}
      WHERE id = ${sessionId}::uuid AND revoked_at IS NULL`;
    return transaction.session.findUnique({ where: { id: sessionId } });
  });
  await catchUp();
  return session ?? undefined;
}

/**
 * Ends all sessions of a user, or all but one, and says how many. Undefined if there is no such user, or it is
 * another and the revoker may not know of them.
 */
export async function revokeAllSessions(
  { prisma, catchUp }: RevokeRooms,
  revoker: Revoker,
  target: { readonly userId: string; readonly exceptSessionId: string | undefined },
): Promise<number | undefined> {
  const isOwn = target.userId === revoker.userId;
  if (!isUuid(target.userId) || (!isOwn && !revoker.mayEndAnySessions)) return undefined;
  if (!isOwn && !(await prisma.user.findUnique({ where: { id: target.userId } }))) return undefined;
  const reason: RevocationReason = isOwn ? "REVOKED_BY_USER" : "REVOKED_BY_ADMIN";
  const spared = target.exceptSessionId ?? null;
  const revokedCount = await change(
    prisma,
    actor(revoker),
    (transaction) => transaction.$executeRaw`
      UPDATE sessions SET revoked_at = now(), revocation_reason = ${reason}
      WHERE user_id = ${target.userId}::uuid AND revoked_at IS NULL AND id IS DISTINCT FROM ${spared}::uuid`,
  );
  await catchUp();
  return revokedCount;
}

/**
 * Ends a session whose time has come at `now`, unless the database knows that it was used since or prolonged.
 * `now` is milliseconds since the epoch, of the database's clock.
 */
export async function endDueSession(
  prisma: PrismaClient,
  sessionId: string,
  now: number,
  rules: ValidityRules,
): Promise<void> {
  const idleSince = Number.isFinite(rules.idleTimeoutMs) ? new Date(now - rules.idleTimeoutMs) : null;
  await prisma.$executeRaw`
    UPDATE sessions SET revoked_at = now(), revocation_reason =
      CASE WHEN expires_at <= ${new Date(now)} THEN 'EXPIRED' ELSE 'IDLE_TIMEOUT' END
    WHERE id = ${sessionId}::uuid AND revoked_at IS NULL
      AND (expires_at <= ${new Date(now)} OR (last_seen_at <= ${idleSince} AND scopes = '{}'))`;
}

function actor(revoker: Actor): ChangeSettings {
  return { actorId: revoker.userId, ipAddress: revoker.ipAddress };
}
