import { v7 as uuidv7 } from "uuid";
import { z } from "zod";
import { sqlState, UNIQUE_VIOLATION } from "../database/errors.ts";
import type { PrismaClient, User } from "../database/generated/client.ts";
import { enqueueMail } from "../database/outbox.ts";
import { createToken, hashToken } from "../token.ts";
import type { PasswordHasher } from "./password.ts";
import type { Role } from "./roles.ts";
import type { Throttle } from "./throttle.ts";
import {
  emailSchema,
  type Invalid,
  nameSchema,
  passwordSchema,
  presentedPasswordSchema,
  validate,
} from "./validation.ts";

export interface SignUpInput {
  readonly email: string;
  readonly name: string;
  readonly password: string;
  readonly passwordConfirmation: string;
}

const signUpSchema = z
  .object({
    email: emailSchema,
    name: nameSchema,
    password: passwordSchema,
    passwordConfirmation: presentedPasswordSchema,
  })
  .refine((input) => input.password === input.passwordConfirmation, {
    path: ["passwordConfirmation"],
    message: "The two passwords differ.",
  });

/** How long the link is good that a mail confirms an email with. */
const CONFIRMATION_TTL_MS = 24 * 3_600_000;

interface SignUpRooms {
  readonly prisma: PrismaClient;
  readonly passwords: PasswordHasher;
}

/** Creates a user of the role USER. Throws `HashingOverloadError`. */
export async function signUp(
  rooms: SignUpRooms,
  input: SignUpInput,
): Promise<{ readonly kind: "signedUp"; readonly user: User } | { readonly kind: "emailTaken" } | Invalid> {
  const checked = validate(signUpSchema, input, "input");
  if (checked.kind === "invalid") return checked;
  const { email, name, password } = checked.value;
  const user = await createUser(rooms, { email, name, password, role: "USER" });
  return user ? { kind: "signedUp", user } : { kind: "emailTaken" };
}

/**
 * Takes a sign-up whose answer is not to tell whether the email is taken (OWASP ASVS 5.0, 6.3.8): what is done and said is
 * the same, and a mail to that address says the rest. Too many mails to one address are dropped without a word. Throws
 * `HashingOverloadError`.
 */
export async function requestSignUp(
  { prisma, passwords, throttle }: SignUpRooms & { readonly throttle: Throttle },
  input: SignUpInput,
  ipAddress: string | undefined,
): Promise<{ readonly kind: "requested"; readonly email: string } | Invalid> {
  const checked = validate(signUpSchema, input, "input");
  if (checked.kind === "invalid") return checked;
  const { email, name, password } = checked.value;
  const passwordHash = await passwords.hash(password);
  if (!(await throttle.mailTo(email, ipAddress))) {
    await enqueueMail(prisma, "signUp", {}, { email, name, passwordHash });
  }
  return { kind: "requested", email };
}

/** A token for the link that confirms an email, which ends an earlier one; undefined: the email is taken. */
export async function issueSignUpToken(
  { prisma, now }: { readonly prisma: PrismaClient; readonly now: () => number },
  {
    email,
    name,
    passwordHash,
  }: { readonly email: string; readonly name: string; readonly passwordHash: string },
): Promise<string | undefined> {
  if (await prisma.user.findUnique({ where: { email } })) return undefined;
  const { token, tokenHash } = createToken("link");
  const data = { name, passwordHash, tokenHash, expiresAt: new Date(now() + CONFIRMATION_TTL_MS) };
  await prisma.pendingSignUp.upsert({ where: { email }, create: { email, ...data }, update: data });
  return token;
}

/**
 * Creates the user of a sign-up by the link of its mail, once. The password is asked for again: a link alone would let
 * whoever signed up with somebody else's email into the account that the owner of the mailbox then confirms. Throws
 * `HashingOverloadError`.
 */
export async function confirmSignUp(
  { prisma, passwords, now }: SignUpRooms & { readonly now: () => number },
  input: { readonly token: string; readonly password: string },
): Promise<
  | { readonly kind: "signedUp"; readonly user: User }
  | { readonly kind: "invalidCredentials" }
  | { readonly kind: "invalidToken" }
> {
  const tokenHash = hashToken("link", input.token);
  if (tokenHash === undefined) return { kind: "invalidToken" };
  const where = { tokenHash, expiresAt: { gt: new Date(now()) } };
  const pending = await prisma.pendingSignUp.findFirst({ where });
  if (!pending) return { kind: "invalidToken" };
  const password = presentedPasswordSchema.safeParse(input.password).data;
  if (password === undefined || !(await passwords.verify(pending.passwordHash, password)).matches) {
    return { kind: "invalidCredentials" };
  }
  try {
    const { email, name, passwordHash } = pending;
    const user = await prisma.$transaction(async (transaction) => {
      const { count } = await transaction.pendingSignUp.deleteMany({ where });
      return count === 1
        ? transaction.user.create({ data: { id: uuidv7(), email, name, passwordHash } })
        : undefined;
    });
    return user ? { kind: "signedUp", user } : { kind: "invalidToken" };
  } catch (error) {
    if (sqlState(error) === UNIQUE_VIOLATION) return { kind: "invalidToken" };
    throw error;
  }
}

/** Stores a user whose fields were validated. Undefined if the email is taken. */
export async function createUser(
  { prisma, passwords }: SignUpRooms,
  user: { readonly email: string; readonly name: string; readonly password: string; readonly role: Role },
): Promise<User | undefined> {
  const { email, name, password, role } = user;
  const passwordHash = await passwords.hash(password);
  try {
    return await prisma.user.create({ data: { id: uuidv7(), email, name, role, passwordHash } });
  } catch (error) {
    if (sqlState(error) === UNIQUE_VIOLATION) return undefined;
    throw error;
  }
}
