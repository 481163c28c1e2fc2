import { v7 as uuidv7 } from "uuid";
import { z } from "zod";
import { change } from "../database/change.ts";
import { STALE_CREDENTIALS, sqlState } from "../database/errors.ts";
import type { PrismaClient, Session, User } from "../database/generated/client.ts";
import type { PasswordHasher } from "../users/password.ts";
import {
  EMAIL_MAX_LENGTH,
  emailSchema,
  type Invalid,
  presentedPasswordSchema,
  validate,
} from "../users/validation.ts";
import { createToken, hashToken } from "./token.ts";

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
  /** The database's time in milliseconds since the epoch. */
  readonly now: () => number;
  readonly sessionTtlMs: number;
}

/** No header is longer in a real browser; whatever is, is cut before it is stored. */
const USER_AGENT_MAX_LENGTH = 512;

/** Only what would cost to look at is refused here; what is no email or password of anybody's is just wrong. */
const loginSchema = z.object({ email: z.string().max(EMAIL_MAX_LENGTH), password: presentedPasswordSchema });

/** Once more when the credentials changed under a login: the password may still be right (P5). */
const MAX_ATTEMPTS = 2;

/**
 * Logs a user in. An unknown email, a wrong password and a deactivated user get the same answer, after the
 * same work. Throws `HashingOverloadError`.
 */
export async function logIn(
  rooms: LoginRooms,
  credentials: { readonly email: string; readonly password: string },
  origin: Origin,
): Promise<StartedSession | { readonly kind: "invalidCredentials" } | Invalid> {
  const checked = validate(loginSchema, credentials, "input");
  if (checked.kind === "invalid") return checked;
  const { password } = checked.value;
  const email = emailSchema.safeParse(checked.value.email).data;
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    const user = email === undefined ? null : await rooms.prisma.user.findUnique({ where: { email } });
    const { matches, needsRehash } = await rooms.passwords.verify(user?.passwordHash, password);
    if (!user || !matches || user.status !== "ACTIVE") return { kind: "invalidCredentials" };
    if (needsRehash) await rehash(rooms, user, password);
    const started = await startSession(rooms, user, origin);
    if (started) return started;
  }
  return { kind: "invalidCredentials" };
}

/**
 * Starts a session for a user whose credentials were verified as they are in `user`. Undefined if they were
 * changed meanwhile: the insert is refused by the database itself, so no such session ever exists (P5).
 */
export async function startSession(
  rooms: Pick<LoginRooms, "prisma" | "now" | "sessionTtlMs">,
  user: User,
  origin: Origin,
): Promise<StartedSession | undefined> {
  const token = createToken();
  const tokenHash = hashToken(token);
  if (tokenHash === undefined) throw new Error("a new token is not well-formed");
  try {
    const session = await rooms.prisma.session.create({
      data: {
        id: uuidv7(),
        userId: user.id,
        tokenHash,
        credentialVersion: user.credentialVersion,
        expiresAt: new Date(rooms.now() + rooms.sessionTtlMs),
        ipAddress: origin.ipAddress ?? null,
        userAgent: storable(origin.userAgent),
      },
    });
    return { kind: "started", session, user, token };
  } catch (error) {
    if (sqlState(error) === STALE_CREDENTIALS) return undefined;
    throw error;
  }
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
