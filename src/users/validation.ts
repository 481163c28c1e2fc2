import { dictionary } from "@zxcvbn-ts/language-common";
import { z } from "zod";

/** One thing that is wrong with an input. `path` names the field, as in `input.email`. */
export interface ValidationIssue {
  readonly path: string;
  readonly message: string;
}

export interface Invalid {
  readonly kind: "invalid";
  readonly issues: readonly ValidationIssue[];
}

/** The longest that RFC 5321 lets an address be. */
export const EMAIL_MAX_LENGTH = 254;
const NAME_MAX_LENGTH = 100;

const PASSWORD_MIN_LENGTH = 8;
const PASSWORD_MAX_LENGTH = 256;
/** Checked before anything is computed: normalising and hashing megabytes is what an attacker would like. */
const PASSWORD_MAX_BYTES = 1_024;

/** What guessers try first: some 18 000 of the most used passwords that are long enough (OWASP ASVS 5.0, 6.2.4). */
const COMMON_PASSWORDS: ReadonlySet<string> = new Set(
  dictionary["passwords-common"].filter((password) => password.length >= PASSWORD_MIN_LENGTH),
);

/**
 * An email, as it is compared and stored: ASCII (so that look-alike letters and full-width signs cannot make
 * a second spelling of somebody's address) and lower case.
 */
export const emailSchema = z
  .string()
  .max(EMAIL_MAX_LENGTH, `An email has at most ${EMAIL_MAX_LENGTH} characters.`)
  .regex(z.regexes.html5Email, "This is not an email address.")
  .transform((email) => email.toLowerCase());

/** A person's name as they write it; no control or bidirectional-override characters. */
export const nameSchema = z
  .string()
  .trim()
  .min(1, "A name is needed.")
  .max(NAME_MAX_LENGTH, `A name has at most ${NAME_MAX_LENGTH} characters.`)
  .refine((name) => name.isWellFormed(), "This is not valid Unicode.")
  .regex(/^[^\p{Cc}\u202a-\u202e\u2066-\u2069]*$/u, "A name cannot have control characters.")
  .transform((name) => name.normalize("NFC"));

/** A password as somebody presents it: only what would cost to look at is refused. Unicode NFKC. */
export const presentedPasswordSchema = z
  .string()
  .refine((password) => Buffer.byteLength(password) <= PASSWORD_MAX_BYTES, {
    message: `A password has at most ${PASSWORD_MAX_LENGTH} characters.`,
    abort: true,
  })
  .refine((password) => password.isWellFormed() && !password.includes("\0"), {
    message: "A password cannot have a NUL or half a character.",
    abort: true,
  })
  .transform((password) => password.normalize("NFKC"));

/**
 * A password that somebody chooses: 8 to 256 characters of any kind, nothing is cut off, and none of the most used. In Unicode NFKC, so
 * that it is the same from every keyboard (NIST SP 800-63B, 3.1.1.2).
 */
export const passwordSchema = presentedPasswordSchema
  .refine((password) => [...password].length >= PASSWORD_MIN_LENGTH, {
    message: `A password has at least ${PASSWORD_MIN_LENGTH} characters.`,
  })
  .refine((password) => [...password].length <= PASSWORD_MAX_LENGTH, {
    message: `A password has at most ${PASSWORD_MAX_LENGTH} characters.`,
  })
  .refine((password) => !COMMON_PASSWORDS.has(password.toLowerCase()), {
    message: "This is one of the most used passwords, which are tried first. Choose another.",
  });

/** Checks an argument. On failure the paths begin with the name of the argument, usually `input`. */
export function validate<Output>(
  schema: z.ZodType<Output>,
  value: unknown,
  argument: string,
): { readonly kind: "valid"; readonly value: Output } | Invalid {
  const result = schema.safeParse(value);
  if (result.success) return { kind: "valid", value: result.data };
  const issues = result.error.issues.map((issue) => ({
    path: [argument, ...issue.path].join("."),
    message: issue.message,
  }));
  return { kind: "invalid", issues };
}
