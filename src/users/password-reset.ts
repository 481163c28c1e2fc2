import { z } from "zod";
import { change } from "../database/change.ts";
import type { PrismaClient, User } from "../database/generated/client.ts";
import { enqueueMail } from "../database/outbox.ts";
import { createToken, hashToken } from "../token.ts";
import { NO_PASSWORD, type PasswordHasher } from "./password.ts";
import type { Throttle } from "./throttle.ts";
import { EMAIL_MAX_LENGTH, emailSchema, type Invalid, passwordSchema, validate } from "./validation.ts";

/** Long enough to find the mail, short enough that a forgotten mailbox opens no account. OWASP: single use, short-lived. */
const RESET_TTL_MS = 30 * 60_000;

export interface PasswordResetRooms {
  readonly prisma: PrismaClient;
  readonly passwords: PasswordHasher;
  readonly throttle: Throttle;
  /** The database's time in milliseconds since the epoch. */
  readonly now: () => number;
  /** Resolves once this node has applied what was committed so far. */
  readonly catchUp: () => Promise<void>;
}

/**
 * Sees to it that a link is mailed, if somebody has this email. It does the same whether or not: one row is written, and
 * everything else happens later. Too many requests are dropped without a word.
 */
export async function requestPasswordReset(
  { prisma, throttle }: Pick<PasswordResetRooms, "prisma" | "throttle">,
  email: string,
  ipAddress: string | undefined,
): Promise<void> {
  const checked = emailSchema.safeParse(email.slice(0, EMAIL_MAX_LENGTH + 1));
  if (!checked.success || (await throttle.mailTo(checked.data, ipAddress))) return;
  await enqueueMail(prisma, "passwordReset", {}, { email: checked.data });
}

/** A new link's token for an active user of this email, which ends an earlier one; undefined: there is no such user. */
export async function issueResetToken(
  { prisma, now }: Pick<PasswordResetRooms, "prisma" | "now">,
  email: string,
): Promise<{ readonly user: User; readonly token: string; readonly expiresAt: Date } | undefined> {
  const user = await prisma.user.findUnique({ where: { email } });
  // Who logs in elsewhere is not to get a second way in by mail.
  if (user?.status !== "ACTIVE" || user.passwordHash === NO_PASSWORD) return undefined;
  const { token, tokenHash } = createToken("link");
  const expiresAt = new Date(now() + RESET_TTL_MS);
  const data = { tokenHash, expiresAt };
  await prisma.passwordReset.upsert({
    where: { userId: user.id },
    create: { userId: user.id, ...data },
    update: data,
  });
  return { user, token, expiresAt };
}

export type ResetOutcome =
  | { readonly kind: "reset"; readonly user: User; readonly revokedCount: number }
  | { readonly kind: "invalidToken" }
  | Invalid;

const resetSchema = z.object({ token: z.string(), newPassword: passwordSchema });

/**
 * Sets a new password by a mailed link, once, and ends all of the user's sessions in the same transaction. Throws
 * `HashingOverloadError`; the link is good for another try then.
 */
export async function resetPassword(
  { prisma, passwords, throttle, now, catchUp }: PasswordResetRooms,
  input: { readonly token: string; readonly newPassword: string },
  ipAddress: string | undefined,
): Promise<ResetOutcome> {
  const checked = validate(resetSchema, input, "input");
  if (checked.kind === "invalid") return checked;
  const tokenHash = hashToken("link", checked.value.token);
  const isGood = { tokenHash: tokenHash ?? "", expiresAt: { gt: new Date(now()) } };
  // Looked at before hashing, which is what costs: guessing links is as good as hopeless, and cheap for us.
  const found = tokenHash === undefined ? null : await prisma.passwordReset.findFirst({ where: isGood });
  if (!found) return { kind: "invalidToken" };
  const { userId } = found;
  const passwordHash = await passwords.hash(checked.value.newPassword);
  const settings = { actorId: userId, ipAddress, reason: "PASSWORD_RESET" };
  const outcome = await change(prisma, settings, async (transaction): Promise<ResetOutcome> => {
    // The user's row first, as every change of credentials does, so that none waits for another in a circle.
    await transaction.$executeRaw`SELECT FROM users WHERE id = ${userId}::uuid FOR UPDATE`;
    // Deleting is what uses it: of two at once, one finds it gone.
    const { count } = await transaction.passwordReset.deleteMany({ where: { ...isGood, userId } });
    const user = await transaction.user.findUnique({ where: { id: userId } });
    if (count === 0 || user?.status !== "ACTIVE") return { kind: "invalidToken" };
    await enqueueMail(transaction, "passwordChanged", { userId }, { ipAddress: ipAddress ?? null });
    const revokedCount = await transaction.session.count({ where: { userId, revokedAt: null } });
    const data = { passwordHash };
    return {
      kind: "reset",
      user: await transaction.user.update({ where: { id: userId }, data }),
      revokedCount,
    };
  });
  if (outcome.kind === "reset") {
    await throttle.forgive(outcome.user.email);
    await catchUp();
  }
  return outcome;
}
