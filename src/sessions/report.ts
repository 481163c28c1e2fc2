import { change } from "../database/change.ts";
import type { Session } from "../database/generated/client.ts";
import { enqueueMail } from "../database/outbox.ts";
import { createToken, hashToken } from "../token.ts";
import type { RevokeRooms } from "./revoke.ts";

/** A token for the "this wasn't me" link of a session's mail; it ends one that was mailed before. Undefined: no such session. */
export async function issueReportToken(
  { prisma }: Pick<RevokeRooms, "prisma">,
  sessionId: string,
): Promise<string | undefined> {
  const { token, tokenHash } = createToken("link");
  const { count } = await prisma.session.updateMany({
    where: { id: sessionId },
    data: { reportTokenHash: tokenHash },
  });
  return count === 1 ? token : undefined;
}

/**
 * Ends a session that its user does not know, by the link in the sign-in mail, once, and mails a link to choose a new
 * password: whoever logged in knew the old one. Undefined: the token is none, or was used.
 */
export async function reportSession(
  { prisma, catchUp }: RevokeRooms,
  token: string,
  ipAddress: string | undefined,
): Promise<Session | undefined> {
  const reportTokenHash = hashToken("link", token);
  if (reportTokenHash === undefined) return undefined;
  const found = await prisma.session.findUnique({ where: { reportTokenHash }, include: { user: true } });
  if (!found) return undefined;
  const { id, userId, user } = found;
  const reported = await change(prisma, { actorId: userId, ipAddress }, async (transaction) => {
    await enqueueMail(transaction, "passwordReset", { userId }, { email: user.email });
    // One statement uses the link and ends the session; one that had ended before keeps its reason.
    const used = await transaction.$executeRaw`
      UPDATE sessions SET report_token_hash = NULL,
        revocation_reason = CASE WHEN revoked_at IS NULL THEN 'REPORTED' ELSE revocation_reason END,
        revoked_at = coalesce(revoked_at, now())
      WHERE id = ${id}::uuid AND report_token_hash = ${reportTokenHash}`;
    if (used === 0) throw new LinkUsedError("the link was used meanwhile");
    return transaction.session.findUniqueOrThrow({ where: { id } });
  }).catch((error: unknown) => {
    if (error instanceof LinkUsedError) return undefined;
    throw error;
  });
  if (reported) await catchUp();
  return reported;
}

/** Thrown inside of the transaction, so that no mail is written. */
class LinkUsedError extends Error {
  override readonly name = "LinkUsedError";
}
