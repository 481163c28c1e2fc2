import { type Client, createClient } from "graphql-ws";
import { BEFORE, FOLLOW, OLDEST, STATUS } from "./documents.ts";

/** How often the service is asked how far it has read the log. */
const STATUS_INTERVAL_MS = 1_000;
/** The pause before a lost connection is tried again is drawn from zero to a length that doubles from here to there. */
const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 5_000;
/** A connection is asked this often whether it still lives, and has as long to answer: one that is dead tells nobody. */
const PING_INTERVAL_MS = 2_000;

interface Event {
  readonly id: string;
  readonly type: string;
  readonly sessionId: string;
  readonly reason: string | null;
}

export interface FollowOptions {
  /** Where the service speaks GraphQL: `https://login.example.com/graphql`. */
  readonly url: string;
  readonly serviceToken: string;
  /** How far back ends matter: as long as a token can be older than its check. */
  readonly memoryMs: number;
  readonly webSocketImpl: unknown;
  readonly onEnd: (sessionId: string, reason: string) => void;
  readonly onError: (error: unknown) => void;
}

export interface EndsFollower {
  /** How long ago it was known for certain which sessions had ended; infinite before it first was. Milliseconds. */
  readonly stalenessMs: () => number;
  readonly close: () => void;
}

/**
 * Hears of every session's end, over lost connections and restarts, and knows how fresh that knowledge is: the service says how
 * far it has read the log, and that counts once all events up to there have arrived here.
 */
export function followEnds(options: FollowOptions): EndsFollower {
  const { onEnd, onError } = options;
  /** The last event that arrived. Undefined: it is not known yet where to begin. */
  let cursor: string | undefined;
  /** What the service said of itself, until the events up to there are here. Monotonic milliseconds. */
  let awaited: readonly { readonly head: bigint; readonly at: number }[] = [];
  let confirmedAt = Number.NEGATIVE_INFINITY;
  let isClosed = false;
  let retry: ReturnType<typeof setTimeout> | undefined;
  let unfollow: (() => void) | undefined;
  let isAsking = false;
  /** Which subscription is followed: one that was given up may still have a last word. */
  let following = 0;
  let pongTimer: ReturnType<typeof setTimeout> | undefined;

  const client: Client = createClient({
    url: options.url.replace(/^http/, "ws"),
    webSocketImpl: options.webSocketImpl,
    lazy: false,
    connectionParams: { authorization: `Bearer ${options.serviceToken}` },
    keepAlive: PING_INTERVAL_MS,
    retryAttempts: Number.POSITIVE_INFINITY,
    // Also 4401 and 4403: a service account may be made good again, and until then nothing is confirmed.
    shouldRetry: () => true,
    retryWait: (retries) => {
      const longest = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** retries);
      return new Promise((resolve) => setTimeout(resolve, Math.random() * longest));
    },
    onNonLazyError: onError,
    on: {
      ping(wasReceived) {
        if (!wasReceived) pongTimer = setTimeout(() => client.terminate(), PING_INTERVAL_MS);
      },
      pong(wasReceived) {
        if (wasReceived) clearTimeout(pongTimer);
      },
      closed: (event) => {
        clearTimeout(pongTimer);
        if (!isClosed) onError(new Error(`the connection to the service was closed: ${describe(event)}`));
      },
    },
  });

  function take({ id, type, sessionId, reason }: Event): void {
    cursor = id;
    if (type === "SESSION_REVOKED") onEnd(sessionId, reason ?? "REVOKED_BY_ADMIN");
    confirm();
  }

  function confirm(): void {
    const here = BigInt(cursor ?? -1);
    for (const { head, at } of awaited) if (head <= here) confirmedAt = Math.max(confirmedAt, at);
    awaited = awaited.filter(({ head }) => head > here);
  }

  async function begin(): Promise<void> {
    try {
      const until = new Date(Date.now() - options.memoryMs).toISOString();
      const before = await ask<{ sessionEvents: Page<{ id: string }> }>(client, BEFORE, { until });
      // Before the log's first event stands 0.
      cursor = before.sessionEvents.edges[0]?.node.id ?? "0";
      follow();
    } catch (error) {
      onError(error);
      beginAgain(begin);
    }
  }

  /** The log does not reach back to the cursor any more: begins with the oldest event that it has. */
  async function beginWithOldest(): Promise<void> {
    try {
      const { sessionEvents } = await ask<{ sessionEvents: Page<Event> }>(client, OLDEST, {});
      const oldest = sessionEvents.edges[0]?.node;
      if (oldest) take(oldest);
      follow();
    } catch (error) {
      onError(error);
      beginAgain(beginWithOldest);
    }
  }

  function beginAgain(how: () => Promise<void>): void {
    awaited = [];
    following += 1;
    unfollow?.();
    unfollow = undefined;
    if (!isClosed) retry = setTimeout(() => void how(), STATUS_INTERVAL_MS);
  }

  function follow(): void {
    // A connection that is made anew sends this again, and is to ask for what came after the last event.
    const variables = {
      get after() {
        return cursor;
      },
    };
    following += 1;
    const own = following;
    function giveUp(errors: unknown): void {
      if (own !== following || isClosed) return;
      onError(errors);
      beginAgain(isExpired(errors) ? beginWithOldest : begin);
    }
    unfollow = client.subscribe<{ sessionEvents: Event }>(
      { query: FOLLOW, variables },
      {
        next({ data, errors }) {
          if (!data) return giveUp(errors);
          if (own === following) take(data.sessionEvents);
        },
        error: giveUp,
        complete: () => giveUp(new Error("the service ended the subscription")),
      },
    );
  }

  async function askStatus(): Promise<void> {
    if (isAsking) return;
    isAsking = true;
    const askedAt = performance.now();
    try {
      const { logStatus } = await ask<{ logStatus: { head: string; stalenessMs: number } }>(
        client,
        STATUS,
        {},
      );
      const at = askedAt - logStatus.stalenessMs;
      // Only the newest matter: when its events are here, so are those before.
      awaited = [...awaited.slice(-9), { head: BigInt(logStatus.head), at }];
      if (cursor !== undefined) confirm();
    } catch (error) {
      onError(error);
    } finally {
      isAsking = false;
    }
  }

  void begin();
  void askStatus();
  const status = setInterval(() => void askStatus(), STATUS_INTERVAL_MS);
  return {
    stalenessMs: () => performance.now() - confirmedAt,
    close() {
      isClosed = true;
      clearInterval(status);
      clearTimeout(retry);
      clearTimeout(pongTimer);
      unfollow?.();
      void Promise.resolve(client.dispose()).catch(() => {});
    },
  };
}

interface Page<Node> {
  readonly edges: readonly { readonly node: Node }[];
}

/** One answer to a query. Throws what went wrong. */
function ask<Data extends object>(
  client: Client,
  query: string,
  variables: Record<string, unknown>,
): Promise<Data> {
  return new Promise((resolve, reject) => {
    client.subscribe<Record<string, unknown>>(
      { query, variables },
      {
        next({ data, errors }) {
          if (data && !errors) resolve(data as Data);
          else reject(new Error(`the service refused: ${JSON.stringify(errors)}`));
        },
        error: (error) => reject(error instanceof Error ? error : new Error(describe(error))),
        complete: () => reject(new Error("the service gave no answer")),
      },
    );
  });
}

function isExpired(errors: unknown): boolean {
  return (
    Array.isArray(errors) &&
    errors.some((error: { extensions?: { code?: unknown } }) => error?.extensions?.code === "CURSOR_EXPIRED")
  );
}

function describe(event: unknown): string {
  if (typeof event !== "object" || event === null) return String(event);
  if ("code" in event && "reason" in event) return `${event.code} ${event.reason}`;
  return JSON.stringify(event);
}
