export type Role = "USER" | "SUPPORT" | "ADMIN";

export type UserStatus = "ACTIVE" | "DEACTIVATED";

/** What a role may do beyond its own sessions. */
export type Capability = "readAnySessions" | "endAnySessions" | "endSessionsByPolicy" | "changeUsers";

const CAPABILITIES: Readonly<Record<Role, readonly Capability[]>> = {
  USER: [],
  SUPPORT: ["readAnySessions", "endAnySessions"],
  ADMIN: ["readAnySessions", "endAnySessions", "endSessionsByPolicy", "changeUsers"],
};

/** Whether somebody of this role may do it. A role that is not known, written by plain SQL, may do nothing. */
export function can(role: string, capability: Capability): boolean {
  return Object.hasOwn(CAPABILITIES, role) && CAPABILITIES[role as Role].includes(capability);
}
