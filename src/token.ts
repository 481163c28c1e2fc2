import { hash, randomBytes } from "node:crypto";
import { crc32 } from "node:zlib";

/** Each kind of secret has a mark of its own, so that people and secret scanners recognise one that leaked. */
const PREFIXES = {
  /** Proves a session. */
  session: "lls_",
  /** Proves a service account. */
  service: "llk_",
  /** Fetches security event tokens. */
  receiver: "lle_",
  /** Stands in a mail's link, for one use. */
  link: "llr_",
} as const;

export type TokenKind = keyof typeof PREFIXES;

const PREFIX_LENGTH = 4;
/** 62^43 > 2^256: as many characters as 256 random bits need. */
const SECRET_LENGTH = 43;
/** 62^6 > 2^32: as many as a CRC32 needs. */
const CHECKSUM_LENGTH = 6;
const ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/** Base62, unlike base64url, has no sign that would end a word: one double click selects a token. */
const FORMAT = new RegExp(`^[a-z]{3}_[0-9A-Za-z]{${SECRET_LENGTH + CHECKSUM_LENGTH}}$`);

export interface NewToken {
  /** The secret itself: to be handed out once, and stored nowhere. */
  readonly token: string;
  /** What stands for it in the database: SHA-256, 64 hexadecimal digits. */
  readonly tokenHash: string;
}

/** A new token: the kind's prefix, 256 random bits, a checksum. */
export function createToken(kind: TokenKind, random: (size: number) => Uint8Array = randomBytes): NewToken {
  const secret = base62(BigInt(`0x${Buffer.from(random(32)).toString("hex")}`), SECRET_LENGTH);
  const body = PREFIXES[kind] + secret;
  const token = body + checksum(body);
  return { token, tokenHash: sha256(token) };
}

/**
 * The hash that stands for a token of this kind in the database and in memory, or undefined if this is none of ours.
 * The checksum is not a secret: it spares a look-up for garbage, the hash decides.
 */
export function hashToken(kind: TokenKind, token: string): string | undefined {
  if (!FORMAT.test(token) || token.slice(0, PREFIX_LENGTH) !== PREFIXES[kind]) return undefined;
  const body = token.slice(0, -CHECKSUM_LENGTH);
  if (token.slice(-CHECKSUM_LENGTH) !== checksum(body)) return undefined;
  return sha256(token);
}

function sha256(text: string): string {
  return hash("sha256", text, "hex");
}

/** Of each request's token, so without big integers. */
function checksum(text: string): string {
  let digits = "";
  for (let rest = crc32(text); digits.length < CHECKSUM_LENGTH; rest = Math.floor(rest / 62)) {
    digits = ALPHABET.charAt(rest % 62) + digits;
  }
  return digits;
}

function base62(value: bigint, length: number): string {
  let text = "";
  for (let rest = value; text.length < length; rest /= 62n) text = ALPHABET.charAt(Number(rest % 62n)) + text;
  return text;
}
