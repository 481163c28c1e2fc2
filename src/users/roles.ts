import { z } from "zod";

/** The name of a role: one of those below, or one that the setting `ROLES` adds. */
export type Role = string;

export type UserStatus = "ACTIVE" | "DEACTIVATED";

/** The role of service accounts. No person has it and no setting names it; it allows nothing: their scopes do. */
export const SERVICE_ROLE = "SERVICE";

/** What a role may do beyond its own sessions. */
export type Capability =
  | "readAnySessions"
  | "endAnySessions"
  | "endSessionsByPolicy"
  | "changeUsers"
  | "administerServices";

/** The roles that every service has. */
const BUILT_IN: Readonly<Record<string, readonly Capability[]>> = {
  USER: [],
  SUPPORT: ["readAnySessions", "endAnySessions"],
  ADMIN: ["readAnySessions", "endAnySessions", "endSessionsByPolicy", "changeUsers", "administerServices"],
};

/** What a role of one's own can be given, as the setting spells it. Bulk revocation stays with ADMIN. */
const GIVABLE = {
  "read-sessions": { capability: "readAnySessions", description: "sees anybody's sessions" },
  "end-sessions": { capability: "endAnySessions", description: "ends anybody's sessions" },
  "change-users": { capability: "changeUsers", description: "changes users who may do no more than they" },
} as const satisfies Record<string, { readonly capability: Capability; readonly description: string }>;

/** A role that the setting `ROLES` adds. */
export interface AddedRole {
  readonly name: Role;
  readonly capabilities: readonly Capability[];
  /** For people: "Also sees anybody's sessions." */
  readonly description: string;
}

const givableSchema = z.enum(Object.keys(GIVABLE) as (keyof typeof GIVABLE)[], {
  error: `must give roles like AUDITOR:read-sessions, with any of ${Object.keys(GIVABLE).join(", ")} joined by +`,
});

/** `AUDITOR:read-sessions,MODERATOR:read-sessions+end-sessions,MEMBER` */
export const rolesSchema = z
  .string()
  .transform((text) => text.split(",").map((role) => role.trim().split(":")))
  .pipe(
    z.array(
      z
        .tuple(
          [
            z
              .string()
              .regex(
                /^[A-Z][A-Z0-9_]{0,39}$/,
                "must name roles in capitals, like AUDITOR, separated by commas",
              )
              .refine((name) => !Object.hasOwn(BUILT_IN, name) && name !== SERVICE_ROLE, {
                error: "cannot change USER, SUPPORT, ADMIN or SERVICE: give a role of your own another name",
              }),
          ],
          z
            .string()
            .transform((text) => text.split("+"))
            .pipe(z.array(givableSchema)),
        )
        .refine(
          (parts) => parts.length <= 2,
          "must have one colon in each role, as in AUDITOR:read-sessions",
        ),
    ),
  )
  .refine((roles) => new Set(roles.map(([name]) => name)).size === roles.length, "names a role twice")
  .transform((roles) =>
    roles.map(([name, ...given]): AddedRole => {
      const givable = given.flat().map((word) => GIVABLE[word]);
      const also = givable.map(({ description }) => description).join("; ");
      return {
        name,
        capabilities: givable.map(({ capability }) => capability),
        description: also ? `Also ${also}.` : "Sees and ends their own sessions.",
      };
    }),
  );

/** The roles of a service and what each may do. A role that is not known, written by plain SQL, may do nothing. */
export interface Roles {
  readonly added: readonly AddedRole[];
  readonly names: readonly Role[];
  /** What somebody of this role may do. */
  readonly of: (role: Role) => readonly Capability[];
  /** Whether somebody of this role may do it. */
  readonly can: (role: Role, capability: Capability) => boolean;
  /** Whether somebody of this role may do all that the other may. */
  readonly covers: (role: Role, other: Role) => boolean;
}

export function createRoles(added: readonly AddedRole[]): Roles {
  const capabilities = new Map<string, readonly Capability[]>(Object.entries(BUILT_IN));
  for (const role of added) capabilities.set(role.name, role.capabilities);
  const of = (role: Role) => capabilities.get(role) ?? [];
  return {
    added,
    names: [...capabilities.keys()],
    of,
    can: (role, capability) => of(role).includes(capability),
    covers: (role, other) => of(other).every((capability) => of(role).includes(capability)),
  };
}
