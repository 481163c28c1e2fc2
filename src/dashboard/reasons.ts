import type { RevocationReason } from "../client/generated/graphql.ts";

/** A reason in few words, and its colour in charts and lists: a name of the theme. */
export const REASONS: Readonly<Record<RevocationReason, { readonly label: string; readonly color: string }>> =
  {
    LOGOUT: { label: "Logged out", color: "gray" },
    REVOKED_BY_USER: { label: "Ended by its user", color: "blue" },
    REVOKED_BY_ADMIN: { label: "Ended by an administrator", color: "red" },
    ROLE_CHANGED: { label: "Role changed", color: "grape" },
    USER_DEACTIVATED: { label: "User deactivated", color: "pink" },
    PASSWORD_CHANGED: { label: "Password changed", color: "teal" },
    PASSWORD_RESET: { label: "Password reset", color: "green" },
    EXPIRED: { label: "Expired", color: "dark" },
    IDLE_TIMEOUT: { label: "Idle for too long", color: "violet" },
    SESSION_LIMIT: { label: "Too many sessions", color: "cyan" },
    REPORTED: { label: 'Reported: "this wasn\'t me"', color: "orange" },
    POLICY: { label: "Security policy", color: "yellow" },
  };

export const REASON_OPTIONS = Object.entries(REASONS).map(([value, { label }]) => ({ value, label }));
