import { change } from "../database/change.ts";
import type { Prisma, PrismaClient, Session, User } from "../database/generated/client.ts";
import { createToken } from "../token.ts";
import { HashingOverloadError, type PasswordHasher } from "../users/password.ts";
import type { Throttle, Throttled } from "../users/throttle.ts";
import { presentedPasswordSchema } from "../users/validation.ts";
import type { InvalidCredentials } from "./login.ts";

/**
 * For how long a proof of the password counts as recent. Raising it leaves an unattended device dangerous for longer;
 * lowering it asks administrators again and again (OWASP ASVS 5.0, 7.5.1 and 7.5.3).
 */
const RECENT_MS = 15 * 60_000;

/** When the session's last proof of the password stops being recent, in milliseconds since the epoch. */
export function recentUntil(session: Pick<Session, "authenticatedAt">): number {
  return session.authenticatedAt.getTime() + RECENT_MS;
}

/** The session in which somebody proves who they are. */
export interface Prover {
  readonly userId: string;
  readonly sessionId: string;
  readonly ipAddress: string | undefined;
}

export interface ReauthenticateRooms {
  readonly prisma: PrismaClient;
  readonly passwords: PasswordHasher;
  readonly throttle: Throttle;
  /** Resolves once this node has applied what was committed so far. */
  readonly catchUp: () => Promise<void>;
}

/** A session whose user has just proved who they are. */
export interface Renewed {
  readonly kind: "renewed";
  readonly session: Session;
  /** The new token; the one before is dead. Undefined: it was not to be rotated. */
  readonly token: string | undefined;
}

/** The session was ended by somebody else meanwhile; nothing was changed. */
export interface SessionGone {
  readonly kind: "sessionGone";
}

/**
 * Marks a session as recently authenticated and gives it a new token (OWASP ASVS 5.0, 7.2.4). The session, its sockets and
 * its running requests go on. Throws `HashingOverloadError`.
 */
export async function reauthenticate(
  rooms: ReauthenticateRooms,
  prover: Prover,
  password: string,
): Promise<Renewed | InvalidCredentials | Throttled | SessionGone> {
  const proof = await provePassword(rooms, prover, password);
  if (proof.kind !== "proved") return proof;
  const settings = { actorId: prover.userId, ipAddress: prover.ipAddress };
  const outcome = await change(rooms.prisma, settings, (transaction) =>
    renew(transaction, prover.sessionId, { rotatesToken: true }),
  );
  await rooms.catchUp();
  return outcome;
}

/** Whether this is the password of the session's user, as it is now. Throws `HashingOverloadError`. */
export async function provePassword(
  { prisma, passwords, throttle }: Omit<ReauthenticateRooms, "catchUp">,
  prover: Prover,
  password: string,
): Promise<{ readonly kind: "proved"; readonly user: User } | InvalidCredentials | Throttled | SessionGone> {
  const user = await prisma.user.findUnique({ where: { id: prover.userId } });
  if (!user) return { kind: "sessionGone" };
  const attempt = await throttle.attemptInSession(user.email, prover.ipAddress, prover.sessionId);
  if (attempt.kind === "throttled") return attempt;
  const presented = presentedPasswordSchema.safeParse(password);
  if (!presented.success) return { kind: "invalidCredentials" };
  try {
    const { matches } = await passwords.verify(user.passwordHash, presented.data);
    if (!matches) return { kind: "invalidCredentials" };
  } catch (error) {
    if (error instanceof HashingOverloadError) await attempt.withdrawn();
    throw error;
  }
  await attempt.succeeded();
  return { kind: "proved", user };
}

/** Notes in the session that its user has just proved who they are. Not for a session that ended meanwhile. */
export async function renew(
  transaction: Prisma.TransactionClient,
  sessionId: string,
  { rotatesToken }: { readonly rotatesToken: boolean },
): Promise<Renewed | SessionGone> {
  const created = rotatesToken ? createToken("session") : undefined;
  const renewed = created
    ? await transaction.$executeRaw`
        UPDATE sessions SET authenticated_at = clock_timestamp(), token_rotated_at = clock_timestamp(),
          previous_token_hash = token_hash, token_hash = ${created.tokenHash}
        WHERE id = ${sessionId}::uuid AND revoked_at IS NULL`
    : await transaction.$executeRaw`
        UPDATE sessions SET authenticated_at = clock_timestamp()
        WHERE id = ${sessionId}::uuid AND revoked_at IS NULL`;
  if (renewed === 0) return { kind: "sessionGone" };
  const session = await transaction.session.findUniqueOrThrow({ where: { id: sessionId } });
  return { kind: "renewed", session, token: created?.token };
}

/** How long a token that was rotated away is still recognised, to say so: as long as a request may have been under way. */
const ROTATED_LATELY_S = 60;

/**
 * Whether a token was a live session's until just now. Its sender did not know yet: they are not logged out, but have to
 * repeat the request with the new one.
 */
export async function wasRotatedLately(prisma: PrismaClient, tokenHash: string): Promise<boolean> {
  const found = await prisma.$queryRaw<unknown[]>`
    SELECT FROM sessions WHERE previous_token_hash = ${tokenHash} AND revoked_at IS NULL
      AND token_rotated_at > clock_timestamp() - make_interval(secs => ${ROTATED_LATELY_S}::float8)`;
  return found.length > 0;
}
