export const ROLES = ["USER", "SUPPORT", "ADMIN"] as const;
export type Role = (typeof ROLES)[number];

export const USER_STATUSES = ["ACTIVE", "DEACTIVATED"] as const;
export type UserStatus = (typeof USER_STATUSES)[number];

/** What a role may do beyond its own sessions. */
export type Capability = "readAnySessions" | "endAnySessions" | "changeUsers";

const CAPABILITIES: Readonly<Record<Role, readonly Capability[]>> = {
  USER: [],
  SUPPORT: ["readAnySessions", "endAnySessions"],
  ADMIN: ["readAnySessions", "endAnySessions", "changeUsers"],
};

/** Whether somebody of this role may do it. A role that is not known, written by plain SQL, may do nothing. */
export function can(role: string, capability: Capability): boolean {
  return Object.hasOwn(CAPABILITIES, role) && CAPABILITIES[role as Role].includes(capability);
}
