import { ApolloClient, gql, InMemoryCache } from "@apollo/client";
import { Client, cacheExchange, fetchExchange } from "@urql/core";
import { Environment, RecordSource, Store } from "relay-runtime";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { clearOnSignOut, sessionLink } from "../../src/client/apollo.ts";
import { perSignIn, type SessionClient } from "../../src/client/core.ts";
import { sessionNetwork } from "../../src/client/relay.ts";
import { sessionExchange } from "../../src/client/urql.ts";
import { logIn, signUp, type TestUser } from "../kit/client.ts";
import { within } from "../kit/deadline.ts";
import { startTestNode, type TestNode } from "../kit/node.ts";
import { createSdk, untilStatus } from "../kit/session-client.ts";

let node: TestNode;
let session: SessionClient;
let user: TestUser;
beforeAll(async () => {
  node = await startTestNode("postgres");
});
afterEach(() => session.close());
afterAll(() => node.stop());

const VIEWER = "query Viewer { viewer { id } }";
const EVENTS = "subscription Events { sessionEvents { type } }";

async function signIn(): Promise<string> {
  user = await signUp(node.url);
  session = createSdk(node.url);
  await session.login({ email: user.email, password: user.password });
  return `${node.url}/graphql`;
}

/** Makes something happen until a subscription tells of it: when it is served is not to be known from outside. */
async function firstEvent(subscribe: (onEvent: (data: unknown) => void) => void): Promise<unknown> {
  const { promise, resolve } = Promise.withResolvers<unknown>();
  let isTold = false;
  subscribe((data) => {
    isTold = true;
    resolve(data);
  });
  while (!isTold) await logIn(node.url, user);
  return within(5_000, "an event", promise);
}

const endAll = () =>
  node.sql("UPDATE sessions SET revoked_at = now() WHERE user_id = $1 AND revoked_at IS NULL", [user.userId]);

describe("the adapter for Apollo Client", () => {
  test("runs queries and subscriptions as whoever is signed in, and forgets them at the sign-out", async () => {
    const uri = await signIn();
    const apollo = new ApolloClient({ cache: new InMemoryCache(), link: sessionLink(session, { uri }) });
    clearOnSignOut(session, apollo);
    const { data } = await apollo.query<{ viewer: { id: string } }>({ query: gql(VIEWER) });
    expect(data?.viewer.id).toBe(user.userId);
    const event = await firstEvent((onEvent) => {
      apollo.subscribe({ query: gql(EVENTS) }).subscribe({ next: (result) => onEvent(result.data) });
    });
    expect(event).toMatchObject({ sessionEvents: { type: "SESSION_CREATED" } });
    expect(apollo.extract()).not.toEqual({});
    await endAll();
    await untilStatus(session, "signedOut");
    expect(apollo.extract()).toEqual({});
  });
});

describe("the adapter for urql", () => {
  test("runs queries and subscriptions as whoever is signed in, and is a new client after the sign-out", async () => {
    const url = await signIn();
    const clients = perSignIn(
      session,
      () =>
        new Client({
          url,
          preferGetMethod: false,
          fetch: session.fetch,
          exchanges: [cacheExchange, sessionExchange(session), fetchExchange],
        }),
    );
    const client = clients.current();
    const { data } = await client.query(VIEWER, {});
    expect(data?.viewer.id).toBe(user.userId);
    const event = await firstEvent((onEvent) => {
      client.subscription(EVENTS, {}).subscribe((result) => onEvent(result.data));
    });
    expect(event).toMatchObject({ sessionEvents: { type: "SESSION_CREATED" } });
    await endAll();
    await untilStatus(session, "signedOut");
    expect(clients.current()).not.toBe(client);
  });
});

describe("the adapter for Relay", () => {
  test("runs queries and subscriptions as whoever is signed in, and is a new environment after the sign-out", async () => {
    const url = await signIn();
    const environments = perSignIn(
      session,
      () =>
        new Environment({ network: sessionNetwork(session, { url }), store: new Store(new RecordSource()) }),
    );
    const environment = environments.current();
    // What Relay's compiler makes of a document.
    const compiled = (text: string, operationKind: "query" | "subscription") =>
      ({ id: null, cacheID: text, name: "Test", text, operationKind, metadata: {} }) as const;
    const execute = (text: string, kind: "query" | "subscription") =>
      environment.getNetwork().execute(compiled(text, kind), {}, {});
    const response = await execute(VIEWER, "query").toPromise();
    expect(response).toMatchObject({ data: { viewer: { id: user.userId } } });
    const event = await firstEvent((onEvent) => {
      execute(EVENTS, "subscription").subscribe({ next: onEvent });
    });
    expect(event).toMatchObject({ data: { sessionEvents: { type: "SESSION_CREATED" } } });
    await endAll();
    await untilStatus(session, "signedOut");
    expect(environments.current()).not.toBe(environment);
  });
});
