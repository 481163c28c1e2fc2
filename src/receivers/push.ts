import type { Logger } from "pino";
import type { EventReceiver, PrismaClient } from "../database/generated/client.ts";
import type { Signer } from "../sessions/signing-keys.ts";
import { SECURITY_EVENT_TYPE, securityEventClaims } from "./security-event.ts";

/** A receiver has this long to answer. */
const ANSWER_TIMEOUT_MS = 10_000;
/** A node that delivers keeps others away for so long, each time anew; longer than an answer may take. */
const CLAIM_S = 30;
/** The pause after a failure doubles from here to there. */
const FIRST_PAUSE_S = 1;
const LONGEST_PAUSE_S = 300;
/** How many receivers a node serves at once. */
const MAX_AT_ONCE = 50;
const PAGE_SIZE = 200;
/** Without being woken a node looks this often whether somebody is to be told. */
const LOOK_INTERVAL_MS = 1_000;

export interface PushRooms {
  readonly prisma: PrismaClient;
  readonly signer: Signer;
  readonly log: Logger;
}

export interface Pusher {
  /** Whether there may be anybody to be told. */
  readonly isWanted: () => boolean;
  /** To be called when something was added to the log. */
  readonly wake: () => void;
  /** Resolves once nothing is being delivered any more. */
  readonly stop: () => Promise<void>;
}

type Claimed = Pick<EventReceiver, "id" | "audience" | "url" | "authorization" | "cursor" | "failures">;

/**
 * Pushes revocations to receivers as security event tokens (RFC 8935): to each in the order of the log, at least once. Every
 * receiver has a cursor in the database and is served by one node at a time, so one that is dead delays nobody else.
 */
export function startPushing({ prisma, signer, log }: PushRooms): Pusher {
  const stopping = new AbortController();
  const serving = new Set<Promise<void>>();
  let woken = Promise.withResolvers<void>();
  /** Whether there is any receiver. If not, events wake nobody: it is enough to look now and then. */
  let isWanted = true;

  async function look(): Promise<void> {
    const claimed = await claim(prisma, MAX_AT_ONCE - serving.size);
    if (claimed.length > 0) isWanted = true;
    else if (serving.size === 0) {
      isWanted = (await prisma.eventReceiver.findFirst({ where: { url: { not: null } } })) !== null;
    }
    for (const receiver of claimed) {
      const served = serve(receiver)
        .catch((error) => log.error({ err: error, receiver: receiver.id }, "a receiver could not be served"))
        .finally(() => serving.delete(served));
      serving.add(served);
    }
  }

  /** Tells a receiver all that it does not know yet, until it fails. */
  async function serve(receiver: Claimed): Promise<void> {
    let { cursor } = receiver;
    for (;;) {
      const events = await prisma.sessionEvent.findMany({
        where: { id: { gt: cursor } },
        orderBy: { id: "asc" },
        take: PAGE_SIZE,
      });
      for (const event of events) {
        if (event.type === "SESSION_REVOKED") {
          if (stopping.signal.aborted) return settle(prisma, receiver.id, cursor, 0);
          const token = await signer.sign(securityEventClaims(receiver, event), {
            type: SECURITY_EVENT_TYPE,
          });
          const problem = await push(receiver, token, stopping.signal);
          if (problem !== undefined) {
            log.warn({ receiver: receiver.id, problem }, "a receiver of events did not take one");
            return fail(prisma, receiver, cursor, problem);
          }
          await renewClaim(prisma, receiver.id, event.id);
        }
        cursor = event.id;
      }
      if (events.length < PAGE_SIZE) return settle(prisma, receiver.id, cursor, 0);
    }
  }

  const running = (async () => {
    while (!stopping.signal.aborted) {
      woken = Promise.withResolvers();
      await look().catch((error) => log.error({ err: error }, "receivers of events could not be looked for"));
      let timer: ReturnType<typeof setTimeout> | undefined;
      const pause = new Promise((resolve) => {
        timer = setTimeout(resolve, LOOK_INTERVAL_MS);
      });
      await Promise.race([pause, woken.promise]);
      clearTimeout(timer);
    }
    await Promise.all(serving);
  })();

  return {
    isWanted: () => isWanted,
    wake() {
      if (isWanted) woken.resolve();
    },
    stop() {
      stopping.abort();
      woken.resolve();
      return running;
    },
  };
}

/** Takes receivers that do not know all of the log yet, each for this node alone. */
function claim(prisma: PrismaClient, limit: number): Promise<Claimed[]> {
  return prisma.$queryRaw<Claimed[]>`
    UPDATE event_receivers SET next_attempt_at = clock_timestamp() + make_interval(secs => ${CLAIM_S}::float8)
    WHERE id IN (
      SELECT id FROM event_receivers AS receiver
      WHERE url IS NOT NULL AND next_attempt_at <= clock_timestamp()
        AND EXISTS (SELECT FROM session_event WHERE session_event.id > receiver.cursor)
      ORDER BY next_attempt_at LIMIT ${limit} FOR UPDATE SKIP LOCKED
    )
    RETURNING id::text, audience, url, "authorization", cursor, failures`;
}

/** What went wrong; undefined: the receiver has it. */
async function push(
  { url, authorization }: Pick<Claimed, "url" | "authorization">,
  token: string,
  stopping: AbortSignal,
): Promise<string | undefined> {
  try {
    const response = await fetch(url ?? "", {
      method: "POST",
      headers: {
        "content-type": `application/${SECURITY_EVENT_TYPE}`,
        accept: "application/json",
        ...(authorization ? { authorization } : {}),
      },
      body: token,
      // Only the place that an administrator named is told.
      redirect: "error",
      signal: AbortSignal.any([stopping, AbortSignal.timeout(ANSWER_TIMEOUT_MS)]),
    });
    await response.body?.cancel();
    return response.ok ? undefined : `HTTP ${response.status}`;
  } catch (error) {
    const { name, cause } = error as Error & { cause?: { code?: unknown; message?: unknown } };
    return String(cause?.code ?? cause?.message ?? name);
  }
}

async function renewClaim(prisma: PrismaClient, id: string, cursor: bigint): Promise<void> {
  await prisma.$executeRaw`
    UPDATE event_receivers SET cursor = greatest(cursor, ${cursor}), failures = 0, last_error = NULL,
      delivered_at = clock_timestamp(), next_attempt_at = clock_timestamp() + make_interval(secs => ${CLAIM_S}::float8)
    WHERE id = ${id}::uuid`;
}

async function settle(prisma: PrismaClient, id: string, cursor: bigint, pauseS: number): Promise<void> {
  await prisma.$executeRaw`
    UPDATE event_receivers SET cursor = greatest(cursor, ${cursor}),
      next_attempt_at = clock_timestamp() + make_interval(secs => ${pauseS}::float8)
    WHERE id = ${id}::uuid`;
}

async function fail(
  prisma: PrismaClient,
  { id, failures }: Claimed,
  cursor: bigint,
  problem: string,
): Promise<void> {
  const longest = Math.min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** failures);
  await prisma.$executeRaw`
    UPDATE event_receivers SET failures = failures + 1, last_error = ${problem} WHERE id = ${id}::uuid`;
  await settle(prisma, id, cursor, longest * (0.5 + Math.random() / 2));
}
