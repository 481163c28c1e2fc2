import { type ReactNode, useCallback, useEffect, useRef, useSyncExternalStore } from "react";
import { Client, type CombinedError, cacheExchange, fetchExchange, gql, Provider, useQuery } from "urql";
import { type PerSignIn, perSignIn, type SessionClient } from "../client/core.ts";
import type { TypedDocumentString } from "../client/generated/graphql.ts";
import { sessionExchange } from "../client/urql.ts";
import { type FollowedEvent, useOnEvents } from "./log.tsx";

/** What changes without an event, as who is connected, is asked for again this often. Milliseconds. */
const PRESENCE_INTERVAL_MS = 10_000;
/** Whoever has just signed in connects a little later. Milliseconds. */
const SETTLED_AFTER_MS = 1_500;

/** Somebody's data is gone with their session: each sign-in begins with an empty cache. */
export function createDataClients(session: SessionClient, url: string): PerSignIn<Client> {
  return perSignIn(
    session,
    () =>
      new Client({
        url,
        fetch: session.fetch,
        preferGetMethod: false,
        requestPolicy: "cache-and-network",
        exchanges: [cacheExchange, fetchExchange, sessionExchange(session)],
      }),
  );
}

export function DataProvider({
  clients,
  children,
}: {
  readonly clients: PerSignIn<Client>;
  readonly children: ReactNode;
}): ReactNode {
  return <Provider value={useSyncExternalStore(clients.subscribe, clients.current)}>{children}</Provider>;
}

export interface LiveQuery<Data> {
  readonly data: Data | undefined;
  /** What went wrong last, for people. */
  readonly problem: string | undefined;
  readonly refresh: () => void;
}

/** An answer that is asked for again after the events that concern it and, while the page is looked at, now and then. */
export function useLiveQuery<Data, Variables extends Record<string, unknown>>(
  query: TypedDocumentString<Data, Variables>,
  variables: Variables,
  concerns: (event: FollowedEvent) => boolean,
): LiveQuery<Data> {
  const [{ data, error }, execute] = useQuery<Data>({ query: gql(String(query)), variables });
  const refresh = useCallback(() => execute({ requestPolicy: "network-only" }), [execute]);
  const settling = useRef<ReturnType<typeof setTimeout>>(undefined);
  useOnEvents(concerns, () => {
    refresh();
    clearTimeout(settling.current);
    settling.current = setTimeout(refresh, SETTLED_AFTER_MS);
  });
  useEffect(() => () => clearTimeout(settling.current), []);
  useEffect(() => {
    const timer = setInterval(() => {
      if (document.visibilityState === "visible") refresh();
    }, PRESENCE_INTERVAL_MS);
    return () => clearInterval(timer);
  }, [refresh]);
  return { data, problem: error && explain(error), refresh };
}

function explain({ networkError, graphQLErrors }: CombinedError): string {
  if (networkError) return "The service cannot be reached. Trying again.";
  return graphQLErrors[0]?.message ?? "Something went wrong.";
}
