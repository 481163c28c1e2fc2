import { v7 as uuidv7 } from "uuid";
import { z } from "zod";
import { change } from "../database/change.ts";
import type { Prisma, PrismaClient, Session, User } from "../database/generated/client.ts";
import { createToken } from "../token.ts";
import { NO_PASSWORD } from "../users/password.ts";
import { SERVICE_ROLE } from "../users/roles.ts";
import { type Invalid, nameSchema, validate } from "../users/validation.ts";
import type { Actor } from "./revoke.ts";

/** What a service account may do. */
export const SCOPES = ["events:read", "sessions:start", "sessions:revoke"] as const;

export type Scope = (typeof SCOPES)[number];

/** Another back end's way in. It is a user without a password, and its token is that user's only session. */
export interface ServiceAccount {
  readonly user: User;
  readonly session: Session;
}

/** Whether a session is a service account's. */
export function isServiceAccount({ user }: { readonly user: { readonly role: string } }): boolean {
  return user.role === SERVICE_ROLE;
}

/** Whether it is a service account's with this scope. */
export function hasScope(
  snapshot: { readonly user: { readonly role: string }; readonly session: Pick<Session, "scopes"> },
  scope: Scope,
): boolean {
  return isServiceAccount(snapshot) && snapshot.session.scopes.includes(scope);
}

const YEAR_MS = 366 * 86_400_000;

const inputSchema = z.object({
  name: nameSchema,
  scopes: z.array(z.enum(SCOPES)).min(1, "A service account needs a scope."),
  expiresAt: z.date(),
});

interface Rooms {
  readonly prisma: PrismaClient;
  /** The database's time in milliseconds since the epoch. */
  readonly now: () => number;
}

/** Creates a service account. Its token is part of the answer and nowhere else. */
export async function createServiceAccount(
  { prisma, now }: Rooms,
  actor: Actor,
  input: { readonly name: string; readonly scopes: readonly Scope[]; readonly expiresAt: Date },
): Promise<{ readonly kind: "created"; readonly account: ServiceAccount; readonly token: string } | Invalid> {
  const checked = validate(inputSchema, input, "input");
  if (checked.kind === "invalid") return checked;
  const { name, scopes, expiresAt } = checked.value;
  const livesForMs = expiresAt.getTime() - now();
  if (livesForMs <= 0 || livesForMs > YEAR_MS) {
    const message = "A service account expires within a year. Make another before it does.";
    return { kind: "invalid", issues: [{ path: "input.expiresAt", message }] };
  }
  const { token, tokenHash } = createToken("service");
  const id = uuidv7();
  const email = `${id}@service-account.invalid`;
  const settings = { actorId: actor.userId, ipAddress: actor.ipAddress };
  const account = await change(prisma, settings, async (transaction) => {
    const user = await transaction.user.create({
      data: { id, email, name, role: SERVICE_ROLE, passwordHash: NO_PASSWORD },
    });
    const session = await transaction.session.create({
      data: {
        id: uuidv7(),
        userId: id,
        tokenHash,
        credentialVersion: user.credentialVersion,
        expiresAt,
        scopes: [...new Set(scopes)],
      },
    });
    return { user, session };
  });
  return { kind: "created", account, token };
}

/** The service accounts whose tokens are good, the newest first. */
export async function listServiceAccounts({ prisma, now }: Rooms): Promise<readonly ServiceAccount[]> {
  const where: Prisma.SessionWhereInput = {
    user: { role: SERVICE_ROLE },
    revokedAt: null,
    expiresAt: { gt: new Date(now()) },
  };
  const rows = await prisma.session.findMany({ where, include: { user: true }, orderBy: { id: "desc" } });
  return rows.map(({ user, ...session }) => ({ user, session }));
}

/** The service account of this id, which is its user's. */
export async function findServiceAccount(
  { prisma }: Pick<Rooms, "prisma">,
  id: string,
): Promise<ServiceAccount | undefined> {
  const found = await prisma.session.findFirst({
    where: { userId: id, user: { role: SERVICE_ROLE } },
    include: { user: true },
  });
  if (!found) return undefined;
  const { user, ...session } = found;
  return { user, session };
}
