import { createHash } from "node:crypto";
import { RateLimiterPostgres, type RateLimiterRes } from "rate-limiter-flexible";
import type { PrismaClient } from "../database/generated/client.ts";
import { isKnownNetwork } from "./known-origins.ts";
import { networkOf, ONE_CLIENT } from "./network.ts";

const DAY_S = 86_400;
const HOUR_S = 3_600;

/** Mistyping this often costs nobody time. Each further failure doubles the wait. */
const FREE_FAILURES = 5;
const FIRST_DELAY_S = 1;
/** Raising it slows down a guesser who stays at one address; it also keeps a forgetful owner waiting. */
const LONGEST_DELAY_S = 900;
/**
 * Failures on one account a day, from networks that its user never logged in from. NIST SP 800-63B, 3.2.2 allows 100
 * in a row. The known networks are exempt, so that many guessers together cannot lock the owner out.
 */
const FAILURES_PER_ACCOUNT = 100;
/** Mails an hour that strangers can have sent to one address: what somebody needs who does not find the first ones. */
const MAILS_PER_ACCOUNT = 5;

export interface ThrottleSettings {
  /** Failed logins of one client address a day, over all accounts. */
  readonly loginFailuresPerAddress: number;
  /** Sign-ups of one client address an hour, and mails that somebody else may get by it. */
  readonly signUpsPerAddress: number;
}

export interface Throttled {
  readonly kind: "throttled";
  readonly retryAfterSeconds: number;
}

/** An attempt at a password that counts as failed until it is said otherwise. */
interface Attempt {
  readonly kind: "admitted";
  /** The password was right: the account's owner starts afresh from this address. */
  readonly succeeded: () => Promise<void>;
  /** The password was not looked at after all. */
  readonly withdrawn: () => Promise<void>;
}

/**
 * Slows down whoever guesses. All counters are in the database, so all nodes share them; keys are digests. Nothing
 * here asks whether the account exists but for {@link isKnownNetwork}, so a limit tells nothing about that; and no session
 * that is already in is touched. Counting comes before looking at the password, so that attempts at the same
 * moment count too.
 */
export interface Throttle {
  /** An attempt to log in. `account` is the email as it was given. */
  readonly attempt: (account: string, ipAddress: string | undefined) => Promise<Attempt | Throttled>;
  /**
   * An attempt to prove the password within a session. It counts for logging in too, but only this session's own failures
   * make it wait: whoever is in already is not kept out by what others do.
   */
  readonly attemptInSession: (
    account: string,
    ipAddress: string | undefined,
    sessionId: string,
  ) => Promise<Attempt | Throttled>;
  readonly signUp: (ipAddress: string | undefined) => Promise<Throttled | undefined>;
  /** A mail to an address that nobody has proved to be theirs. */
  readonly mailTo: (account: string, ipAddress: string | undefined) => Promise<Throttled | undefined>;
  /** The owner proved by mail who they are: what others did to the account's counters is forgotten. */
  readonly forgive: (account: string) => Promise<void>;
}

export function createThrottle(prisma: PrismaClient, settings: ThrottleSettings): Throttle {
  const limiter = (keyPrefix: string, points: number, duration: number) =>
    new RateLimiterPostgres({
      storeClient: storeOn(prisma),
      storeType: "client",
      tableName: "rate_limits",
      tableCreated: true,
      // Outdated counters are deleted with everything else that is outdated.
      clearExpiredByTimeout: false,
      keyPrefix,
      points,
      duration,
    });
  const byPair = limiter("login pair", FREE_FAILURES, DAY_S);
  /** Between two attempts of a pair that failed too often. */
  const waiting = limiter("login wait", 1, FIRST_DELAY_S);
  const byAccount = limiter("login account", FAILURES_PER_ACCOUNT, DAY_S);
  const byAddress = limiter("login address", settings.loginFailuresPerAddress, DAY_S);
  const signUps = limiter("sign-up address", settings.signUpsPerAddress, HOUR_S);
  const mailsByAddress = limiter("mail address", settings.signUpsPerAddress, HOUR_S);
  const mailsByAccount = limiter("mail account", MAILS_PER_ACCOUNT, HOUR_S);

  /** Counts a failure in advance, and says how long this attempt has to wait, in milliseconds. */
  async function countFailure(pair: string): Promise<number> {
    const { consumedPoints } = await byPair.penalty(pair);
    if (consumedPoints <= byPair.points) return 0;
    const customDuration = delaySeconds(consumedPoints - byPair.points);
    return refusal(waiting.consume(pair, 1, { customDuration }));
  }

  return {
    async attempt(account, ipAddress) {
      const email = account.toLowerCase();
      const client = networkOf(ipAddress, ONE_CLIENT);
      const keys = { address: key(client), account: key(email), pair: key(email, client) };
      const ofAddress = await byAddress.penalty(keys.address);
      if (ofAddress.consumedPoints > byAddress.points) {
        await byAddress.reward(keys.address);
        return throttled(ofAddress.msBeforeNext);
      }
      const [waitForPair, ofAccount] = await Promise.all([
        countFailure(keys.pair),
        byAccount.penalty(keys.account),
      ]);
      const isFlooded = ofAccount.consumedPoints > byAccount.points;
      const isHeldUp = isFlooded && !(await isKnownNetwork(prisma, email, ipAddress));
      const waitMs = Math.max(waitForPair, isHeldUp ? ofAccount.msBeforeNext : 0);
      const withdrawn = async () => {
        await Promise.all([
          byAddress.reward(keys.address),
          byAccount.reward(keys.account),
          byPair.reward(keys.pair),
        ]);
      };
      if (waitMs > 0) {
        // What was not tried does not count: the wait grows by failures only.
        await withdrawn();
        return throttled(waitMs);
      }
      return {
        kind: "admitted",
        withdrawn,
        async succeeded() {
          await Promise.all([
            byPair.delete(keys.pair),
            byAddress.reward(keys.address),
            byAccount.reward(keys.account),
          ]);
        },
      };
    },

    async attemptInSession(account, ipAddress, sessionId) {
      const email = account.toLowerCase();
      const keys = { session: key("session", sessionId), pair: key(email, networkOf(ipAddress, ONE_CLIENT)) };
      const [waitMs] = await Promise.all([countFailure(keys.session), byPair.penalty(keys.pair)]);
      const withdrawn = async () => {
        await Promise.all([byPair.reward(keys.session), byPair.reward(keys.pair)]);
      };
      if (waitMs > 0) {
        await withdrawn();
        return throttled(waitMs);
      }
      return {
        kind: "admitted",
        withdrawn,
        async succeeded() {
          await Promise.all([byPair.delete(keys.session), byPair.reward(keys.pair)]);
        },
      };
    },

    async signUp(ipAddress) {
      const waitMs = await refusal(signUps.consume(key(networkOf(ipAddress, ONE_CLIENT))));
      return waitMs > 0 ? throttled(waitMs) : undefined;
    },

    async mailTo(account, ipAddress) {
      const [address, email] = [key(networkOf(ipAddress, ONE_CLIENT)), key(account.toLowerCase())];
      const waits = await Promise.all([
        refusal(mailsByAddress.consume(address)),
        refusal(mailsByAccount.consume(email)),
      ]);
      const waitMs = Math.max(...waits);
      return waitMs > 0 ? throttled(waitMs) : undefined;
    },

    async forgive(account) {
      await byAccount.delete(key(account.toLowerCase()));
    },
  };
}

/** 1 s, 2 s, 4 s and so on. */
function delaySeconds(failures: number): number {
  return Math.min(FIRST_DELAY_S * 2 ** (failures - 1), LONGEST_DELAY_S);
}

function throttled(waitMs: number): Throttled {
  return { kind: "throttled", retryAfterSeconds: Math.max(1, Math.ceil(waitMs / 1_000)) };
}

/** How long to wait, in milliseconds, because a limit was reached; 0: it was not. */
async function refusal(consumed: Promise<RateLimiterRes>): Promise<number> {
  try {
    await consumed;
    return 0;
  } catch (error) {
    // The library rejects with a result, which is no Error, when the limit is reached.
    if (error instanceof Error || typeof error !== "object" || error === null) throw error;
    return Math.max(1, (error as RateLimiterRes).msBeforeNext);
  }
}

/** No email or address stands in the table. */
function key(...parts: readonly string[]): string {
  return createHash("sha256").update(JSON.stringify(parts)).digest("base64url");
}

/** The database as the library wants it: it asks for one statement at a time. */
function storeOn(prisma: PrismaClient) {
  return {
    async query({ text, values }: { readonly text: string; readonly values: readonly unknown[] }) {
      type Row = { readonly points: number; readonly expire: bigint | null };
      const rows = await prisma.$queryRawUnsafe<Row[]>(text, ...values);
      return {
        rowCount: rows.length,
        rows: rows.map((row) => ({ ...row, expire: row.expire === null ? null : Number(row.expire) })),
      };
    },
  };
}
