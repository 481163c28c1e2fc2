import { availableParallelism } from "node:os";
import argon2 from "argon2";
import { offer } from "../kit/offer.ts";

// What verifying passwords itself costs, as many at once as the service verifies: on all cores but one.

const AT_ONCE = Math.max(1, availableParallelism() - 1);

interface Task {
  readonly hash: string;
  readonly password: string;
  readonly seconds: number;
}

/** How many per second. */
async function verify({ hash, password, seconds }: Task): Promise<number> {
  let count = 0;
  const startedAt = performance.now();
  const until = startedAt + seconds * 1_000;
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      while (performance.now() < until) {
        if (!(await argon2.verify(hash, password))) throw new Error("not the password");
        count += 1;
      }
    }),
  );
  return count / ((performance.now() - startedAt) / 1_000);
}

offer("", { verify });
