import { exportJWK, generateKeyPair, importJWK, type JWK, type JWTPayload, SignJWT } from "jose";
import { v7 as uuidv7 } from "uuid";
import type { Database } from "../database/database.ts";
import type { SigningKey } from "../database/generated/client.ts";

const ALGORITHM = "ES256";
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** How long a key signs. A shorter time means more keys to fetch; a longer one that a stolen key is of more use. */
const KEY_LIFETIME_MS = 30 * DAY_MS;
/** A new key is published so long before it signs, so that whoever fetches keys now and then knows it by then. */
const ANNOUNCED_FOR_MS = HOUR_MS;
/** What a key has signed is good for so long at most; then the key is forgotten. */
const KEPT_FOR_MS = 2 * DAY_MS;
/** Another node may have made a key. */
const REMEMBERED_FOR_MS = 60_000;

/** The keys that others check our signatures by: RFC 7517. */
interface KeySet {
  readonly keys: readonly JWK[];
}

export interface Signer {
  /** Signs claims with the present key. `iss` and `iat` are added, and `aud` and `jti` unless given; `type` is the header's `typ`. */
  readonly sign: (
    claims: JWTPayload,
    options: { readonly type: string; readonly expiresAt?: Date },
  ) => Promise<string>;
  /** The public halves, of keys that will sign soon and that signed lately, too. */
  readonly keySet: () => Promise<KeySet>;
  /** Makes a key if there is none or the newest is old, and forgets those that have not signed for long. */
  readonly rotate: () => Promise<void>;
}

/** Signs with keys that all nodes share by the database. Throws when the database does. */
export function createSigner({
  database,
  now,
  issuer,
}: {
  readonly database: Pick<Database, "prisma" | "exclusively">;
  /** The database's time in milliseconds since the epoch. */
  readonly now: () => number;
  /** The `iss` of all that is signed. */
  readonly issuer: () => string;
}): Signer {
  const { prisma } = database;
  let known: { readonly keys: readonly SigningKey[]; readonly at: number } | undefined;

  /** The newest first. */
  async function readKeys(): Promise<readonly SigningKey[]> {
    if (!known || now() - known.at > REMEMBERED_FOR_MS) {
      known = { keys: await prisma.signingKey.findMany({ orderBy: { createdAt: "desc" } }), at: now() };
    }
    return known.keys;
  }

  async function rotate(): Promise<void> {
    await database.exclusively("signing keys", async () => {
      const newest = await prisma.signingKey.findFirst({ orderBy: { createdAt: "desc" } });
      const age = newest ? now() - newest.createdAt.getTime() : Number.POSITIVE_INFINITY;
      if (age > KEY_LIFETIME_MS - ANNOUNCED_FOR_MS) await makeKey();
      const outdated = new Date(now() - KEY_LIFETIME_MS - KEPT_FOR_MS);
      await prisma.signingKey.deleteMany({ where: { createdAt: { lt: outdated } } });
    });
    known = undefined;
  }

  async function makeKey(): Promise<void> {
    const id = uuidv7();
    const { publicKey, privateKey } = await generateKeyPair(ALGORITHM, { extractable: true });
    const described = { kid: id, alg: ALGORITHM, use: "sig" };
    await prisma.signingKey.create({
      data: {
        id,
        publicJwk: { ...(await exportJWK(publicKey)), ...described },
        privateJwk: { ...(await exportJWK(privateKey)), ...described },
      },
    });
  }

  return {
    rotate,
    keySet: async () => ({ keys: (await readKeys()).map(({ publicJwk }) => publicJwk as JWK) }),
    async sign(claims, { type, expiresAt }) {
      // An operator may have deleted them all, because one has leaked.
      if ((await readKeys()).length === 0) await rotate();
      const keys = await readKeys();
      const isAnnounced = (key: SigningKey) => now() - key.createdAt.getTime() >= ANNOUNCED_FOR_MS;
      const key = keys.find(isAnnounced) ?? keys.at(-1);
      if (!key) throw new Error("there is no key to sign with");
      const seconds = Math.floor(now() / 1_000);
      const jwt = new SignJWT({
        aud: issuer(),
        jti: uuidv7(),
        ...claims,
        iss: issuer(),
        iat: seconds,
      }).setProtectedHeader({
        alg: ALGORITHM,
        kid: key.id,
        typ: type,
      });
      if (expiresAt) jwt.setExpirationTime(Math.floor(expiresAt.getTime() / 1_000));
      return jwt.sign(await importJWK(key.privateJwk as JWK, ALGORITHM));
    },
  };
}
