import { randomBytes } from "node:crypto";
import { availableParallelism } from "node:os";
import argon2 from "argon2";
import pLimit from "p-limit";

/** argon2id's cost. OWASP's minimum is 19 MiB (19 456 KiB), 2 passes, 1 lane (Password Storage Cheat Sheet). */
export interface PasswordCost {
  readonly memoryKib: number;
  readonly passes: number;
  readonly lanes: number;
}

/** How many may wait for a hash before more are turned away; at 20 ms each that is about a second. */
const MAX_WAITING = 64;

/** All cores but one: the one that is left answers everybody else during a storm of logins. */
const MAX_AT_ONCE = Math.max(1, availableParallelism() - 1);

/** More logins at once than can be verified in reasonable time. The caller is asked to come back. */
export class HashingOverloadError extends Error {
  override readonly name = "HashingOverloadError";
  readonly retryAfterSeconds: number = 2;
}

/** Stored instead of a hash for users whom no password lets in: service accounts, and those who log in elsewhere. */
export const NO_PASSWORD = "!";

export interface PasswordHasher {
  /** A new argon2id hash in PHC string format. Throws {@link HashingOverloadError}. */
  readonly hash: (password: string) => Promise<string>;
  /**
   * Whether the password is the one that was hashed, and whether it should be hashed anew because the cost was
   * changed since. Without a hash (no such user) the same work is done, in vain. Throws {@link HashingOverloadError}.
   */
  readonly verify: (
    hash: string | undefined,
    password: string,
  ) => Promise<{ readonly matches: boolean; readonly needsRehash: boolean }>;
  /** How many hashes are under way, and how many wait for one to end. */
  readonly load: () => { readonly running: number; readonly waiting: number };
}

export async function createPasswordHasher(cost: PasswordCost): Promise<PasswordHasher> {
  const options = {
    type: argon2.argon2id,
    memoryCost: cost.memoryKib,
    timeCost: cost.passes,
    parallelism: cost.lanes,
  } as const;
  // A place is given back when the hash ends, not when the client goes away: otherwise clients that hang up
  // would run any number of hashes at once.
  const limit = pLimit(MAX_AT_ONCE);
  function queue<T>(work: () => Promise<T>): Promise<T> {
    if (limit.pendingCount >= MAX_WAITING) throw new HashingOverloadError("too many logins at once");
    return limit(work);
  }
  const nobodysHash = await argon2.hash(randomBytes(32), options);

  return {
    load: () => ({ running: limit.activeCount, waiting: limit.pendingCount }),
    hash: async (password) => queue(() => argon2.hash(password, options)),
    verify: async (hash, password) => {
      // Where there is no hash the work is done all the same: how long it takes is not to tell who has a password.
      const isHash = hash !== undefined && hash !== NO_PASSWORD;
      // What plain SQL stored as a hash may be none: then no password fits it.
      const matches = await queue(() =>
        argon2.verify(isHash ? hash : nobodysHash, password).catch(() => false),
      );
      if (!matches || !isHash) return { matches: false, needsRehash: false };
      return { matches, needsRehash: argon2.needsRehash(hash, options) };
    },
  };
}
