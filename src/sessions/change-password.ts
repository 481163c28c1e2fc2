import { z } from "zod";
import { change } from "../database/change.ts";
import type { User } from "../database/generated/client.ts";
import { enqueueMail } from "../database/outbox.ts";
import type { Throttled } from "../users/throttle.ts";
import { type Invalid, passwordSchema, presentedPasswordSchema, validate } from "../users/validation.ts";
import type { InvalidCredentials } from "./login.ts";
import {
  type Prover,
  provePassword,
  type ReauthenticateRooms,
  type Renewed,
  renew,
  type SessionGone,
} from "./reauthenticate.ts";

export interface PasswordChange {
  readonly currentPassword: string;
  readonly newPassword: string;
  /** Whether all other sessions of the user end; if not, they go on with the new password. */
  readonly resetsSessions: boolean;
  /** Whether the session that makes the change gets a new token. */
  readonly rotatesToken: boolean;
}

export interface PasswordChanged {
  readonly kind: "changed";
  readonly user: User;
  readonly revokedCount: number;
  readonly renewed: Renewed;
}

const changeSchema = z.object({ currentPassword: presentedPasswordSchema, newPassword: passwordSchema });

/**
 * Changes the password of a session's user. In the same transaction their other sessions end with PASSWORD_CHANGED (P4)
 * and they are told by mail; the session itself lives on. Throws `HashingOverloadError`.
 */
export async function changePassword(
  rooms: ReauthenticateRooms,
  prover: Prover,
  input: PasswordChange,
): Promise<PasswordChanged | InvalidCredentials | Throttled | SessionGone | Invalid> {
  const { currentPassword, newPassword } = input;
  const checked = validate(changeSchema, { currentPassword, newPassword }, "input");
  if (checked.kind === "invalid") return checked;
  const proof = await provePassword(rooms, prover, checked.value.currentPassword);
  if (proof.kind !== "proved") return proof;
  const passwordHash = await rooms.passwords.hash(checked.value.newPassword);
  const { userId, sessionId, ipAddress } = prover;
  const settings = { actorId: userId, ipAddress, keepSession: input.resetsSessions ? sessionId : "all" };
  const outcome = await change(rooms.prisma, settings, async (transaction) => {
    const [user] = await transaction.$queryRaw<{ password_hash: string }[]>`
        SELECT password_hash FROM users WHERE id = ${userId}::uuid FOR UPDATE`;
    // Of two changes at once the second proved a password that is not the user's any more.
    if (user?.password_hash !== proof.user.passwordHash) return undefined;
    // Somebody who was just logged out everywhere must not come out of it as the one who knows the password.
    const own = await transaction.$queryRaw<unknown[]>`
        SELECT FROM sessions WHERE id = ${sessionId}::uuid AND revoked_at IS NULL FOR UPDATE`;
    if (own.length === 0) return { kind: "sessionGone" } satisfies SessionGone;
    const others = { userId, revokedAt: null, id: { not: sessionId } };
    const revokedCount = input.resetsSessions ? await transaction.session.count({ where: others }) : 0;
    await enqueueMail(transaction, "passwordChanged", { userId }, { ipAddress: ipAddress ?? null });
    const changed = await transaction.user.update({ where: { id: userId }, data: { passwordHash } });
    const renewed = await renew(transaction, sessionId, input);
    if (renewed.kind === "sessionGone") throw new Error("a session ended that was locked against it");
    return { kind: "changed", user: changed, revokedCount, renewed } satisfies PasswordChanged;
  });
  await rooms.catchUp();
  return outcome ?? { kind: "invalidCredentials" };
}
