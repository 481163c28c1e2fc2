import { createHash, randomBytes } from "node:crypto";
import { crc32 } from "node:zlib";

/** Marks a session token, so that people and secret scanners recognise one that leaked. */
const PREFIX = "lls_";
/** 62^43 > 2^256: as many characters as 256 random bits need. */
const SECRET_LENGTH = 43;
/** 62^6 > 2^32: as many as a CRC32 needs. */
const CHECKSUM_LENGTH = 6;
const ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/** Base62, unlike base64url, has no sign that would end a word: one double click selects a token. */
const FORMAT = new RegExp(`^${PREFIX}[0-9A-Za-z]{${SECRET_LENGTH + CHECKSUM_LENGTH}}$`);

/** A new session token: the prefix, 256 random bits, a checksum. */
export function createToken(random: (size: number) => Uint8Array = randomBytes): string {
  const secret = base62(BigInt(`0x${Buffer.from(random(32)).toString("hex")}`), SECRET_LENGTH);
  return PREFIX + secret + checksum(PREFIX + secret);
}

/**
 * The hash that stands for the token in the database and in memory, or undefined if this is no token of ours.
 * The checksum is not a secret: it spares a look-up for garbage, the hash decides.
 */
export function hashToken(token: string): string | undefined {
  if (!FORMAT.test(token)) return undefined;
  const body = token.slice(0, -CHECKSUM_LENGTH);
  if (token.slice(-CHECKSUM_LENGTH) !== checksum(body)) return undefined;
  return createHash("sha256").update(token).digest("hex");
}

function checksum(text: string): string {
  return base62(BigInt(crc32(text)), CHECKSUM_LENGTH);
}

function base62(value: bigint, length: number): string {
  let text = "";
  for (let rest = value; text.length < length; rest /= 62n) text = ALPHABET.charAt(Number(rest % 62n)) + text;
  return text;
}
