import { v7 as uuidv7 } from "uuid";
import { z } from "zod";
import { sqlState, UNIQUE_VIOLATION } from "../database/errors.ts";
import type { PrismaClient, User } from "../database/generated/client.ts";
import type { PasswordHasher } from "./password.ts";
import type { Role } from "./roles.ts";
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

/** Creates a user of the role USER. Throws `HashingOverloadError`. */
export async function signUp(
  rooms: { readonly prisma: PrismaClient; readonly passwords: PasswordHasher },
  input: SignUpInput,
): Promise<{ readonly kind: "signedUp"; readonly user: User } | { readonly kind: "emailTaken" } | Invalid> {
  const checked = validate(signUpSchema, input, "input");
  if (checked.kind === "invalid") return checked;
  const { email, name, password } = checked.value;
  const user = await createUser(rooms, { email, name, password, role: "USER" });
  return user ? { kind: "signedUp", user } : { kind: "emailTaken" };
}

/** Stores a user whose fields were validated. Undefined if the email is taken. */
export async function createUser(
  { prisma, passwords }: { readonly prisma: PrismaClient; readonly passwords: PasswordHasher },
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
