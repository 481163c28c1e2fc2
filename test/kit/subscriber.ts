import { print } from "graphql";
import { createClient as createSseClient } from "graphql-sse";
import { type Client, createClient } from "graphql-ws";
import WebSocket from "ws";
import {
  type RevocationScope,
  SessionRevokedDocument,
  type SessionRevokedSubscription,
} from "../../src/client/generated/graphql.ts";
import { within } from "./deadline.ts";

type Revocation = SessionRevokedSubscription["sessionRevoked"];

/** What one client saw of `sessionRevoked`, from the subscription to its end. */
export interface Subscriber {
  readonly events: readonly Revocation[];
  readonly next: () => Promise<Revocation>;
  /** Resolves with how the subscription ended. */
  readonly ended: Promise<"complete" | { readonly error: unknown }>;
  readonly stop: () => void;
}

export interface WebSocketSubscriber extends Subscriber {
  /** In the order that things happened: connections, acknowledgements, closes as "4401 reason". */
  readonly history: readonly string[];
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>;
}

const SUBSCRIPTION = print(SessionRevokedDocument);

/** Subscribes with the stock graphql-ws client and its default options; resolves when the server knows of it. */
export async function subscribeByWebSocket(
  url: string,
  token: string,
  scope?: RevocationScope,
): Promise<WebSocketSubscriber> {
  const history: string[] = [];
  const closed = Promise.withResolvers<{ code: number; reason: string }>();
  const client: Client = createClient({
    url: `${url.replace("http", "ws")}/graphql`,
    webSocketImpl: WebSocket,
    connectionParams: { authorization: `Bearer ${token}` },
    on: {
      connecting: () => void history.push("connecting"),
      connected: () => void history.push("connected"),
      closed: (event) => {
        const { code, reason } = event as WebSocket.CloseEvent;
        history.push(`closed ${code} ${reason}`);
        closed.resolve({ code, reason });
      },
    },
  });
  const subscriber = collect((sink) =>
    client.subscribe<SessionRevokedSubscription>(
      { query: SUBSCRIPTION, ...(scope ? { variables: { scope } } : {}) },
      sink,
    ),
  );
  const isReady = Promise.withResolvers<void>();
  client.on("connected", () => isReady.resolve());
  await within(5_000, "the subscription's connection", Promise.race([isReady.promise, closed.promise]));
  await roundTrip(client);
  return { ...subscriber, history, closed: closed.promise };
}

/** A query behind the subscription on the same socket: its answer says that the subscription was handled. */
async function roundTrip(client: Client): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  client.subscribe({ query: "{ __typename }" }, { next() {}, error: () => resolve(), complete: resolve });
  await within(5_000, "an answer on the subscription's socket", promise);
}

/** Subscribes over server-sent events; resolves when the server has begun the stream. */
export async function subscribeBySse(
  url: string,
  token: string,
  scope?: RevocationScope,
): Promise<Subscriber> {
  const client = createSseClient({
    url: `${url}/graphql`,
    headers: { authorization: `Bearer ${token}` },
    retryAttempts: 0,
    fetchFn: async (input: string, init: RequestInit) => {
      const response = await fetch(input, init);
      begun.resolve();
      return response;
    },
  });
  const begun = Promise.withResolvers<void>();
  const subscriber = collect((sink) =>
    client.subscribe<SessionRevokedSubscription>(
      { query: SUBSCRIPTION, ...(scope ? { variables: { scope } } : {}) },
      sink,
    ),
  );
  await within(5_000, "the stream's beginning", begun.promise);
  return subscriber;
}

interface Sink {
  readonly next: (result: { readonly data?: SessionRevokedSubscription | null | undefined }) => void;
  readonly error: (error: unknown) => void;
  readonly complete: () => void;
}

function collect(subscribe: (sink: Sink) => () => void): Subscriber {
  const events: Revocation[] = [];
  const ended = Promise.withResolvers<"complete" | { error: unknown }>();
  let first = Promise.withResolvers<Revocation>();
  let read = 0;
  const stop = subscribe({
    next({ data }) {
      if (!data) return;
      events.push(data.sessionRevoked);
      first.resolve(data.sessionRevoked);
    },
    error: (error) => ended.resolve({ error }),
    complete: () => ended.resolve("complete"),
  });
  return {
    events,
    ended: ended.promise,
    stop,
    async next() {
      if (events.length <= read) await within(5_000, "an event", first.promise);
      first = Promise.withResolvers();
      const event = events[read++];
      if (!event) throw new Error("woken without an event");
      return event;
    },
  };
}
