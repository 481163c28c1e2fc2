import { v7 as uuidv7 } from "uuid";
import { z } from "zod";
import { change } from "../database/change.ts";
import { STALE_CREDENTIALS, sqlState } from "../database/errors.ts";
import type { Prisma, PrismaClient, Session, User } from "../database/generated/client.ts";
import { enqueueMail } from "../database/outbox.ts";
import { createToken } from "../token.ts";
import { noteOrigin } from "../users/known-origins.ts";
import { HashingOverloadError, type PasswordHasher } from "../users/password.ts";
import type { Throttle, Throttled } from "../users/throttle.ts";
import {
  EMAIL_MAX_LENGTH,
  emailSchema,
  type Invalid,
  presentedPasswordSchema,
  validate,
} from "../users/validation.ts";
import { deviceName } from "./device.ts";

/** Where a session is used from. */
export interface Origin {
  readonly ipAddress: string | undefined;
  readonly userAgent: string | undefined;
}

export interface StartedSession {
  readonly kind: "started";
  readonly session: Session;
  readonly user: User;
  /** The secret itself: the only moment that it exists outside of the client. */
  readonly token: string;
}

export interface LoginRooms {
  readonly prisma: PrismaClient;
  readonly passwords: PasswordHasher;
  readonly throttle: Throttle;
  /** The database's time in milliseconds since the epoch. */
  readonly now: () => number;
  readonly lifetimes: Lifetimes;
}

/** What bounds the sessions of a user. */
export interface Lifetimes {
  readonly sessionTtlMs: number;
  /** Of sessions that are begun with "remember me". */
  readonly rememberedTtlMs: number;
  /** How many live sessions a user may have; the oldest make room for a new one. */
  readonly sessionsPerUser: number;
}

/** How a session is begun. */
export interface Beginning extends Origin {
  readonly remember?: boolean | null | undefined;
  /** The user's very first session: nobody has to be told that the device is new. */
  readonly isFirst?: boolean;
  /** Who begins it, for the log, if not the user themself. */
  readonly actorId?: string;
}

/** No header is longer in a real browser; whatever is, is cut before it is stored. */
const USER_AGENT_MAX_LENGTH = 512;

/** Only what would cost to look at is refused here; what is no email or password of anybody's is just wrong. */
const loginSchema = z.object({ email: z.string().max(EMAIL_MAX_LENGTH), password: presentedPasswordSchema });

/** Once more when the credentials changed under a login: the password may still be right (P5). */
const MAX_ATTEMPTS = 2;

/** The password was wrong, or there is no such active user. */
export interface InvalidCredentials {
  readonly kind: "invalidCredentials";
}

/**
 * Logs a user in. An unknown email, a wrong password and a deactivated user get the same answer, after the
 * same work. Throws `HashingOverloadError`.
 */
export async function logIn(
  rooms: LoginRooms,
  credentials: { readonly email: string; readonly password: string },
  beginning: Beginning,
): Promise<StartedSession | InvalidCredentials | Throttled | Invalid> {
  const checked = validate(loginSchema, credentials, "input");
  if (checked.kind === "invalid") return checked;
  const { email, password } = checked.value;
  const attempt = await rooms.throttle.attempt(email, beginning.ipAddress);
  if (attempt.kind === "throttled") return attempt;
  try {
    const outcome = await tryPassword(rooms, email, password, beginning);
    if (outcome.kind === "started") await attempt.succeeded();
    return outcome;
  } catch (error) {
    if (error instanceof HashingOverloadError) await attempt.withdrawn();
    throw error;
  }
}

async function tryPassword(
  rooms: LoginRooms,
  presentedEmail: string,
  password: string,
  beginning: Beginning,
): Promise<StartedSession | InvalidCredentials> {
  const email = emailSchema.safeParse(presentedEmail).data;
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    const user = email === undefined ? null : await rooms.prisma.user.findUnique({ where: { email } });
    const { matches, needsRehash } = await rooms.passwords.verify(user?.passwordHash, password);
    if (!user || !matches || user.status !== "ACTIVE") return { kind: "invalidCredentials" };
    if (needsRehash) await rehash(rooms, user, password);
    const started = await startSession(rooms, user, beginning);
    if (started) return started;
  }
  return { kind: "invalidCredentials" };
}

/**
 * Starts a session for a user whose credentials were verified as they are in `user`. Undefined if they were
 * changed meanwhile: the insert is refused by the database itself, so no such session ever exists (P5).
 */
export async function startSession(
  { prisma, now, lifetimes }: Pick<LoginRooms, "prisma" | "now" | "lifetimes">,
  user: User,
  beginning: Beginning,
): Promise<StartedSession | undefined> {
  const { token, tokenHash } = createToken("session");
  const ttlMs = beginning.remember ? lifetimes.rememberedTtlMs : lifetimes.sessionTtlMs;
  const data = {
    id: uuidv7(),
    userId: user.id,
    tokenHash,
    credentialVersion: user.credentialVersion,
    expiresAt: new Date(now() + ttlMs),
    ipAddress: beginning.ipAddress ?? null,
    userAgent: storable(beginning.userAgent),
    remembered: beginning.remember === true,
  };
  const origin = { device: deviceName(data.userAgent), ipAddress: data.ipAddress };
  const settings = { actorId: beginning.actorId ?? user.id, ipAddress: beginning.ipAddress };
  try {
    const session = await change(prisma, settings, async (transaction) => {
      const isNewOrigin = await noteOrigin(transaction, user.id, origin);
      await makeRoom(transaction, user.id, lifetimes.sessionsPerUser);
      const session = await transaction.session.create({ data });
      if (isNewOrigin && !beginning.isFirst) {
        await enqueueMail(transaction, "signIn", { userId: user.id, sessionId: session.id }, {});
      }
      return session;
    });
    return { kind: "started", session, user, token };
  } catch (error) {
    if (sqlState(error) === STALE_CREDENTIALS) return undefined;
    throw error;
  }
}

/** Ends a user's oldest sessions so that with one more there are not too many. */
async function makeRoom(
  transaction: Prisma.TransactionClient,
  userId: string,
  sessionsPerUser: number,
): Promise<void> {
  // Two logins at once would otherwise not see each other's session, and both find room.
  await transaction.$executeRaw`SELECT FROM users WHERE id = ${userId}::uuid FOR NO KEY UPDATE`;
  await transaction.$executeRaw`
    UPDATE sessions SET revoked_at = now(), revocation_reason = 'SESSION_LIMIT'
    WHERE id IN (
      SELECT id FROM sessions WHERE user_id = ${userId}::uuid AND revoked_at IS NULL
      ORDER BY created_at DESC, id DESC OFFSET ${sessionsPerUser - 1}
    )`;
}

/** Stores the same password at today's cost. Nobody is logged out by it, and a newer password is not undone. */
async function rehash(
  { prisma, passwords }: Pick<LoginRooms, "prisma" | "passwords">,
  user: User,
  password: string,
): Promise<void> {
  const passwordHash = await passwords.hash(password);
  await change(prisma, { samePassword: true }, (transaction) =>
    transaction.user.updateMany({
      where: { id: user.id, passwordHash: user.passwordHash },
      data: { passwordHash },
    }),
  );
}

/** PostgreSQL refuses NUL, which a header cannot hold, and half a character, which cutting could leave. */
function storable(userAgent: string | undefined): string | null {
  return userAgent?.slice(0, USER_AGENT_MAX_LENGTH).toWellFormed().replaceAll("\0", "") ?? null;
}
