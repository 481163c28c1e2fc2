import { change } from "../database/change.ts";
import type { PrismaClient, Session } from "../database/generated/client.ts";
import { enqueueMail } from "../database/outbox.ts";
import { noteOnce } from "../users/known-origins.ts";
import { networkOf, ONE_SITE } from "../users/network.ts";
import { deviceName } from "./device.ts";
import type { Origin } from "./login.ts";

/** What happens when a token shows up where its session was not begun. */
export type UnusualActivityPolicy = "off" | "notify" | "revoke";

/**
 * Whether a token comes from another network and another device at once than its session was begun on. People change
 * networks all day and update browsers, but hardly carry a session from one browser to another. It does not see a thief who
 * copies the user agent, or who sits in the same network; and of a session that does not say where it was begun it knows
 * nothing.
 */
export function isUnusual(session: Pick<Session, "ipAddress" | "userAgent">, origin: Origin): boolean {
  if (session.userAgent === null || session.ipAddress === null) return false;
  if (origin.userAgent === session.userAgent) return false;
  if (networkOf(origin.ipAddress, ONE_SITE) === networkOf(session.ipAddress, ONE_SITE)) return false;
  return deviceName(origin.userAgent ?? null) !== deviceName(session.userAgent);
}

/**
 * Does what the policy says about an unusual use of a session: tells the user by mail, once for each network and device, or
 * ends the session with POLICY and tells them that.
 */
export async function reactToUnusual(
  { prisma, catchUp }: { readonly prisma: PrismaClient; readonly catchUp: () => Promise<void> },
  session: Pick<Session, "id" | "userId">,
  origin: Origin,
  policy: Exclude<UnusualActivityPolicy, "off">,
): Promise<void> {
  const { id: sessionId, userId } = session;
  const details = { ipAddress: origin.ipAddress ?? null, userAgent: origin.userAgent?.slice(0, 512) ?? null };
  if (policy === "notify") {
    const device = deviceName(details.userAgent);
    const what = JSON.stringify([sessionId, networkOf(details.ipAddress, ONE_SITE), device]);
    if (await noteOnce(prisma, userId, what)) {
      await enqueueMail(prisma, "unusualActivity", { userId, sessionId }, { ...details, ended: false });
    }
    return;
  }
  await change(prisma, { ipAddress: origin.ipAddress }, async (transaction) => {
    const ended = await transaction.$executeRaw`
      UPDATE sessions SET revoked_at = now(), revocation_reason = 'POLICY'
      WHERE id = ${sessionId}::uuid AND revoked_at IS NULL`;
    if (ended > 0) {
      await enqueueMail(transaction, "unusualActivity", { userId, sessionId }, { ...details, ended: true });
    }
  });
  await catchUp();
}
