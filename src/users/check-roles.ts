import type { PrismaClient } from "../database/generated/client.ts";
import { OperatorError } from "../operator-error.ts";
import { type Roles, SERVICE_ROLE } from "./roles.ts";

/** Throws {@link OperatorError} if users have roles that the settings do not name: a role in use cannot be removed. */
export async function checkRolesInUse(prisma: PrismaClient, roles: Roles): Promise<void> {
  const unknown = await prisma.user.groupBy({
    by: ["role"],
    where: { role: { notIn: [...roles.names, SERVICE_ROLE] } },
    _count: true,
    orderBy: { role: "asc" },
  });
  if (unknown.length === 0) return;
  const inUse = unknown.map(({ role, _count }) => `${role} (${_count} users)`).join(", ");
  throw new OperatorError(
    `Users have roles that the setting ROLES does not name: ${inUse}. Name them there, or give these users another ` +
      "role first: UPDATE users SET role = 'USER' WHERE role = '...'.",
  );
}
