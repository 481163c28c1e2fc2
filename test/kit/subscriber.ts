import { createClient as createSseClient } from "graphql-sse";
import { type Client, createClient } from "graphql-ws";
import WebSocket from "ws";
import {
  FollowSessionEventsDocument,
  type FollowSessionEventsSubscription,
  type RevocationScope,
  SessionRevokedDocument,
  type SessionRevokedSubscription,
} from "../../src/client/generated/graphql.ts";
import { within } from "./deadline.ts";

type Revocation = SessionRevokedSubscription["sessionRevoked"];

type LoggedEvent = FollowSessionEventsSubscription["sessionEvents"];

/** What one client saw of a subscription, from its beginning to its end. */
export interface Subscriber<Event = Revocation> {
  readonly events: readonly Event[];
  /** The errors that came instead of an event, by their codes. */
  readonly errorCodes: readonly unknown[];
  readonly next: () => Promise<Event>;
  /** Resolves with how the subscription ended. */
  readonly ended: Promise<"complete" | { readonly error: unknown }>;
  readonly stop: () => void;
}

export interface WebSocketSubscriber extends Subscriber {
  /** In the order that things happened: connections, acknowledgements, closes as "4401 reason". */
  readonly history: readonly string[];
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>;
}

const SUBSCRIPTION = String(SessionRevokedDocument);

/** Subscribes with the stock graphql-ws client and its default options; resolves when the server knows of it. */
export async function subscribeByWebSocket(
  url: string,
  token: string,
  scope?: RevocationScope,
): Promise<WebSocketSubscriber> {
  const { client, history, closed } = connect(url, token);
  const subscriber = collect<SessionRevokedSubscription, Revocation>(
    (sink) => client.subscribe({ query: SUBSCRIPTION, ...(scope ? { variables: { scope } } : {}) }, sink),
    (data) => data.sessionRevoked,
  );
  await isServed(client, closed.promise);
  return { ...subscriber, history, closed: closed.promise };
}

/** Follows `sessionEvents` with the stock graphql-ws client; resolves when the server knows of it. */
export async function followEvents(
  url: string,
  token: string,
  variables: { readonly after?: string; readonly userId?: string } = {},
): Promise<Subscriber<LoggedEvent> & Pick<WebSocketSubscriber, "closed">> {
  const { client, closed } = connect(url, token);
  const subscriber = collect<FollowSessionEventsSubscription, LoggedEvent>(
    (sink) => client.subscribe({ query: String(FollowSessionEventsDocument), variables }, sink),
    (data) => data.sessionEvents,
  );
  await isServed(client, closed.promise);
  return { ...subscriber, closed: closed.promise };
}

function connect(url: string, token: string) {
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
  return { client, history, closed };
}

async function isServed(client: Client, closed: Promise<unknown>): Promise<void> {
  const isReady = Promise.withResolvers<void>();
  client.on("connected", () => isReady.resolve());
  await within(5_000, "the subscription's connection", Promise.race([isReady.promise, closed]));
  await roundTrip(client);
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
  const subscriber = collect<SessionRevokedSubscription, Revocation>(
    (sink) => client.subscribe({ query: SUBSCRIPTION, ...(scope ? { variables: { scope } } : {}) }, sink),
    (data) => data.sessionRevoked,
  );
  await within(5_000, "the stream's beginning", begun.promise);
  return subscriber;
}

interface Sink<Data> {
  readonly next: (result: {
    readonly data?: Data | null | undefined;
    readonly errors?: readonly { readonly extensions?: Record<string, unknown> | undefined }[] | undefined;
  }) => void;
  readonly error: (error: unknown) => void;
  readonly complete: () => void;
}

function collect<Data, Event>(
  subscribe: (sink: Sink<Data>) => () => void,
  pick: (data: Data) => Event,
): Subscriber<Event> {
  const events: Event[] = [];
  const errorCodes: unknown[] = [];
  const ended = Promise.withResolvers<"complete" | { error: unknown }>();
  let first = Promise.withResolvers<void>();
  let read = 0;
  const stop = subscribe({
    next({ data, errors = [] }) {
      errorCodes.push(...errors.map((error) => error.extensions?.["code"]));
      if (!data) return;
      events.push(pick(data));
      first.resolve();
    },
    error: (error) => ended.resolve({ error }),
    complete: () => ended.resolve("complete"),
  });
  return {
    events,
    errorCodes,
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
