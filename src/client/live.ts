import {
  type Client,
  createClient,
  type FormattedExecutionResult,
  type Sink,
  type SubscribePayload,
} from "graphql-ws";
import {
  type RevocationReason,
  SessionRevokedDocument,
  type SessionRevokedSubscription,
} from "./generated/graphql.ts";
import type { SignOutCause } from "./state.ts";
import type { TokenStorage } from "./transport.ts";

/** After a restart (1012) clients come back within this time, not all in the same moment. Milliseconds. */
const RESTART_SPREAD = { least: 500, most: 5_000 } as const;
/** After anything else the pause doubles from here to there, and is drawn from zero to that. Milliseconds. */
const FIRST_PAUSE_MS = 2_000;
const LONGEST_PAUSE_MS = 30_000;
/** So many attempts in a row that opened nothing, when none ever has: something between here and there lets no WebSocket through. */
const BLOCKED_AFTER = 3;
/** A connection is asked this often whether it still lives, and has half as long to answer. */
const PING_INTERVAL_MS = 10_000;
const PONG_TIMEOUT_MS = 5_000;

const ANSWER_TIMEOUT_MS = 10_000;

const CLOSED = { sessionRevoked: 4401, authenticationRequired: 4403, restarting: 1012 } as const;

export interface LiveOptions {
  /** Of GraphQL over HTTP: `https://login.example.com/graphql`. */
  readonly url: string;
  readonly webSocketImpl: unknown;
  /** Undefined: the browser's cookie. */
  readonly tokens: TokenStorage | undefined;
  readonly fetch: typeof globalThis.fetch;
  readonly onError: (error: unknown) => void;
  /** The connection was opened, or lost. Over server-sent events it counts as open. */
  readonly onConnection: (isOpen: boolean) => void;
  /** The session has ended. */
  readonly onEnd: (cause: SignOutCause) => void;
  /** The service let nobody in, or said no more than a reason: it should be asked over HTTP. */
  readonly onDoubt: (reason: RevocationReason | undefined) => void;
}

/** The connection by which a client is told at once that its session ended. */
export interface Live {
  readonly start: () => void;
  readonly stop: () => void;
  /** The network or the device is back: no use in waiting any longer. */
  readonly wake: () => void;
  /** The connection may be dead without anybody having noticed: it is made anew. */
  readonly renew: () => void;
  /** Runs a subscription of the app over the same connection. Gives back what ends it. */
  readonly subscribe: <Data extends Record<string, unknown>>(
    payload: SubscribePayload,
    sink: Sink<FormattedExecutionResult<Data, unknown>>,
  ) => () => void;
}

export function createLive(options: LiveOptions): Live {
  let client: (Pick<Client, "subscribe" | "dispose"> & Partial<Pick<Client, "terminate">>) | undefined;
  let unsubscribe: (() => void) | undefined;
  let awake = Promise.withResolvers<void>();
  let lastCode: number | undefined;
  /** Undefined: a WebSocket has opened once, so there is a way for them. */
  let attempts: number | undefined = 0;

  async function pauseBefore(retries: number): Promise<void> {
    const { least, most } = RESTART_SPREAD;
    const ms =
      lastCode === CLOSED.restarting
        ? least + Math.random() * (most - least)
        : Math.random() * Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** retries);
    let timer: ReturnType<typeof setTimeout> | undefined;
    const over = new Promise((resolve) => {
      timer = setTimeout(resolve, ms);
    });
    await Promise.race([over, awake.promise]);
    clearTimeout(timer);
  }

  function connect(): Client {
    let pongTimer: ReturnType<typeof setTimeout> | undefined;
    return createClient({
      url: options.url.replace(/^http/, "ws"),
      webSocketImpl: options.webSocketImpl,
      lazy: true,
      keepAlive: PING_INTERVAL_MS,
      connectionAckWaitTimeout: ANSWER_TIMEOUT_MS,
      // However long an outage lasts: whoever stops trying is never told.
      retryAttempts: Number.POSITIVE_INFINITY,
      shouldRetry: (problem) => closeCode(problem) !== CLOSED.authenticationRequired,
      retryWait: pauseBefore,
      connectionParams: async () => {
        const token = await options.tokens?.get();
        return token === undefined ? {} : { authorization: `Bearer ${token}` };
      },
      on: {
        opened() {
          attempts = undefined;
        },
        connected: () => options.onConnection(true),
        closed(event) {
          options.onConnection(false);
          clearTimeout(pongTimer);
          lastCode = closeCode(event);
          if (attempts !== undefined && ++attempts === BLOCKED_AFTER) fallBack().catch(options.onError);
        },
        ping(wasReceived) {
          if (wasReceived) return;
          pongTimer = setTimeout(() => client?.terminate?.(), PONG_TIMEOUT_MS);
        },
        pong(wasReceived) {
          if (wasReceived) clearTimeout(pongTimer);
        },
      },
    });
  }

  /** Loaded only where it is needed, which is hardly anywhere. */
  async function fallBack(): Promise<void> {
    const { connectBySse } = await import("./sse.ts");
    if (!unsubscribe) return;
    stop();
    client = connectBySse(options, pauseBefore);
    options.onConnection(true);
    watch();
  }

  function stop(): void {
    const end = unsubscribe;
    unsubscribe = undefined;
    end?.();
    options.onConnection(false);
    // It rejects when it was about to connect again, which is over then.
    Promise.resolve(client?.dispose()).catch(() => {});
    client = undefined;
  }

  function watch(): void {
    client ??= connect();
    const own = client.subscribe<SessionRevokedSubscription>(
      { query: String(SessionRevokedDocument) },
      {
        next({ data }) {
          if (data?.sessionRevoked.current) options.onEnd(data.sessionRevoked);
        },
        error: (problem) => {
          if (unsubscribe === own) onFinal(problem);
        },
        complete: () => {
          if (unsubscribe === own) onFinal(undefined);
        },
      },
    );
    unsubscribe = own;
  }

  /** The connection is not tried again by itself: the service said something final. */
  function onFinal(problem: unknown): void {
    unsubscribe = undefined;
    options.onDoubt(closeCode(problem) === CLOSED.sessionRevoked ? revocationReason(problem) : undefined);
  }

  return {
    start() {
      if (!unsubscribe) watch();
    },
    stop,
    wake() {
      awake.resolve();
      awake = Promise.withResolvers();
    },
    renew() {
      client?.terminate?.();
    },
    subscribe(payload, sink) {
      client ??= connect();
      return client.subscribe(payload, sink);
    },
  };
}

function closeCode(problem: unknown): number | undefined {
  const code =
    typeof problem === "object" && problem !== null && "code" in problem ? problem.code : undefined;
  return typeof code === "number" ? code : undefined;
}

/** From the close's reason, as in "Session revoked: ROLE_CHANGED". */
function revocationReason(problem: unknown): RevocationReason | undefined {
  const text =
    typeof problem === "object" && problem !== null && "reason" in problem ? String(problem.reason) : "";
  return /^Session revoked: ([A-Z_]+)$/.exec(text)?.[1] as RevocationReason | undefined;
}
