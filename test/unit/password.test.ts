import { availableParallelism } from "node:os";
import argon2 from "argon2";
import { beforeAll, describe, expect, test } from "vitest";
import { createPasswordHasher, HashingOverloadError, type PasswordHasher } from "../../src/users/password.ts";

const COST = { memoryKib: 19_456, passes: 2, lanes: 1 };

describe("hashing passwords", () => {
  let hasher: PasswordHasher;
  beforeAll(async () => {
    hasher = await createPasswordHasher(COST);
  });

  test("is argon2id with a salt of its own each time", async () => {
    const [one, two] = [await hasher.hash("correct horse"), await hasher.hash("correct horse")];
    expect(one).toMatch(/^\$argon2id\$v=19\$/);
    expect(one).not.toBe(two);
    expect(await hasher.verify(one, "correct horse")).toEqual({ matches: true, needsRehash: false });
    expect(await hasher.verify(one, "correct horsf")).toEqual({ matches: false, needsRehash: false });
  });

  test("tells which hashes were made at another cost", async () => {
    const other = await createPasswordHasher({ ...COST, passes: 3 });
    expect(await hasher.verify(await other.hash("correct horse"), "correct horse")).toEqual({
      matches: true,
      needsRehash: true,
    });
  });

  test("matches nothing where there is no user, or no hash", async () => {
    for (const hash of [undefined, "", "nonsense", "$argon2id$v=19$m=19456,t=2,p=1$"]) {
      expect((await hasher.verify(hash, "correct horse")).matches).toBe(false);
    }
  });

  test("takes as many at once as there are cores to spare, lets 64 wait, and turns the rest away", async () => {
    const hash = await argon2.hash("correct horse", { memoryCost: 1_024, timeCost: 1 });
    const results = await Promise.allSettled(Array.from({ length: 200 }, () => hasher.verify(hash, "wrong")));
    const refused = results.filter((result) => result.status === "rejected");
    const atOnce = Math.max(1, availableParallelism() - 1);
    expect(200 - refused.length).toBe(64 + atOnce);
    for (const { reason } of refused) expect(reason).toBeInstanceOf(HashingOverloadError);
    expect((await hasher.verify(hash, "correct horse")).matches).toBe(true);
  });
});
