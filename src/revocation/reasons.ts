/** Why a session was revoked, with what its user is told. The keys are the contract's `RevocationReason`. */
const MESSAGES = {
  LOGOUT: "You logged out.",
  REVOKED_BY_USER: "You were logged out from another of your sessions.",
  REVOKED_BY_ADMIN: "You were logged out by an administrator.",
  ROLE_CHANGED: "You were logged out because your role changed.",
  USER_DEACTIVATED: "You were logged out because your account was deactivated.",
  PASSWORD_CHANGED: "You were logged out because your password was changed.",
  PASSWORD_RESET: "You were logged out because your password was reset.",
  EXPIRED: "You were logged out because your session reached its end. Log in again.",
  IDLE_TIMEOUT: "You were logged out because you were away for too long. Log in again.",
  SESSION_LIMIT: "You were logged out because you logged in on another device.",
  REPORTED: "You were logged out because this sign-in was reported as not yours.",
  POLICY: "You were logged out by a security policy. Log in again.",
} as const;

export type RevocationReason = keyof typeof MESSAGES;

export const REVOCATION_REASONS = Object.keys(MESSAGES) as readonly RevocationReason[];

/** For people: "You were logged out because your role changed." */
export function messageFor(reason: RevocationReason): string {
  return MESSAGES[reason];
}

/**
 * The reason as read from the database. One that this version does not know, written by plain SQL or by a
 * newer node, still ends the session: it reads as `REVOKED_BY_ADMIN`.
 */
export function toRevocationReason(text: string | null): RevocationReason {
  return text !== null && Object.hasOwn(MESSAGES, text) ? (text as RevocationReason) : "REVOKED_BY_ADMIN";
}
