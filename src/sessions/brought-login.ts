import { isIP } from "node:net";
import { validate as isUuid, v7 as uuidv7 } from "uuid";
import { z } from "zod";
import { sqlState, UNIQUE_VIOLATION } from "../database/errors.ts";
import type { PrismaClient, User } from "../database/generated/client.ts";
import { NO_PASSWORD } from "../users/password.ts";
import { SERVICE_ROLE } from "../users/roles.ts";
import { emailSchema, type Invalid, nameSchema, validate } from "../users/validation.ts";
import { type LoginRooms, type StartedSession, startSession } from "./login.ts";

type Maybe<T> = T | null | undefined;

export interface BroughtLoginInput {
  readonly userId?: Maybe<string>;
  readonly email?: Maybe<string>;
  readonly name?: Maybe<string>;
  readonly createUser?: Maybe<boolean>;
  readonly ipAddress?: Maybe<string>;
  readonly userAgent?: Maybe<string>;
  readonly remember?: Maybe<boolean>;
}

export type BroughtLogin = StartedSession | { readonly kind: "notFound" } | Invalid;

const inputSchema = z
  .object({
    userId: z.string().refine(isUuid, "must be a UUID").nullish(),
    email: emailSchema.nullish(),
    name: nameSchema.nullish(),
    createUser: z.boolean().nullish(),
    ipAddress: z
      .string()
      .refine((text) => isIP(text) !== 0, "must be an IP address")
      .nullish(),
    userAgent: z.string().max(2_000, "A user agent has at most 2000 characters.").nullish(),
    remember: z.boolean().nullish(),
  })
  .refine(({ userId, email }) => (userId == null) !== (email == null), {
    path: ["userId"],
    message: "Give userId or email, one of them.",
  })
  .refine(({ createUser, email, name }) => !createUser || (email != null && name != null), {
    path: ["createUser"],
    message: "A new user needs an email and a name.",
  });

/** Once more when the credentials changed under the login (P5), or the user was created by somebody else meanwhile. */
const MAX_ATTEMPTS = 2;

/**
 * Begins a session for a user whom a service account has authenticated in its own way. A user that is made for it has no
 * password. In the log it is the service account's doing.
 */
export async function startBroughtSession(
  rooms: Pick<LoginRooms, "prisma" | "now" | "lifetimes">,
  serviceUserId: string,
  input: BroughtLoginInput,
): Promise<BroughtLogin> {
  const checked = validate(inputSchema, input, "input");
  if (checked.kind === "invalid") return checked;
  const { userId, email, name, createUser, ipAddress, userAgent, remember } = checked.value;
  const beginning = {
    ipAddress: ipAddress ?? undefined,
    userAgent: userAgent ?? undefined,
    remember,
    actorId: serviceUserId,
  };
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    const where = userId == null ? { email: email ?? "" } : { id: userId };
    const found = await rooms.prisma.user.findUnique({ where });
    const isNew = !found && createUser === true;
    const user = isNew ? await createUserWithoutPassword(rooms.prisma, email ?? "", name ?? "") : found;
    if (user === undefined) continue;
    if (!user || user.role === SERVICE_ROLE || user.status !== "ACTIVE") return { kind: "notFound" };
    const started = await startSession(rooms, user, { ...beginning, isFirst: isNew });
    if (started) return started;
  }
  return { kind: "notFound" };
}

/** Undefined: somebody else made a user of this email just now. */
async function createUserWithoutPassword(
  prisma: PrismaClient,
  email: string,
  name: string,
): Promise<User | undefined> {
  try {
    return await prisma.user.create({ data: { id: uuidv7(), email, name, passwordHash: NO_PASSWORD } });
  } catch (error) {
    if (sqlState(error) === UNIQUE_VIOLATION) return undefined;
    throw error;
  }
}
