import type { JWTPayload } from "jose";
import { messageFor, type RevocationReason, toRevocationReason } from "../revocation/reasons.ts";

/** The type of CAEP 1.0, 3.1. */
const SESSION_REVOKED = "https://schemas.openid.net/secevent/caep/event-type/session-revoked";

/** The `typ` of a security event token: RFC 8417, 2.3. */
export const SECURITY_EVENT_TYPE = "secevent+jwt";

/** Who began it, in CAEP's words. */
const INITIATORS: Readonly<Record<RevocationReason, "admin" | "user" | "policy" | "system">> = {
  LOGOUT: "user",
  REVOKED_BY_USER: "user",
  REVOKED_BY_ADMIN: "admin",
  ROLE_CHANGED: "admin",
  USER_DEACTIVATED: "admin",
  PASSWORD_CHANGED: "user",
  PASSWORD_RESET: "user",
  EXPIRED: "system",
  IDLE_TIMEOUT: "system",
  SESSION_LIMIT: "system",
  REPORTED: "user",
  POLICY: "policy",
};

/** A revocation as it stands in the log. */
export interface Revocation {
  readonly id: bigint;
  readonly at: Date;
  readonly sessionId: string;
  readonly userId: string;
  readonly reason: string | null;
}

/** What a receiver knows an event by, the same however often it is sent (RFC 8417, 2.2: `jti`). */
export function tokenIdOf(receiverId: string, eventId: bigint): string {
  return `${receiverId}.${eventId}`;
}

/** The event of a `jti`; undefined if it is none that this receiver was given. */
export function eventIdOf(receiverId: string, tokenId: string): bigint | undefined {
  const [receiver, event = ""] = tokenId.split(".");
  return receiver === receiverId && /^\d{1,19}$/.test(event) ? BigInt(event) : undefined;
}

/** The claims of a security event token (RFC 8417) that tells of a revocation: CAEP 1.0, 3.1, with subjects of RFC 9493. */
export function securityEventClaims(
  receiver: { readonly id: string; readonly audience: string },
  { id, at, sessionId, userId, reason: text }: Revocation,
): JWTPayload {
  const reason = toRevocationReason(text);
  return {
    aud: receiver.audience,
    jti: tokenIdOf(receiver.id, id),
    sub_id: {
      format: "complex",
      user: { format: "opaque", id: userId },
      session: { format: "opaque", id: sessionId },
    },
    events: {
      [SESSION_REVOKED]: {
        event_timestamp: Math.floor(at.getTime() / 1_000),
        initiating_entity: INITIATORS[reason],
        reason_admin: { en: reason },
        reason_user: { en: messageFor(reason) },
      },
    },
  };
}
