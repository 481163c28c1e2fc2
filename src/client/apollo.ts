import { type ApolloClient, ApolloLink, HttpLink } from "@apollo/client";
import { GraphQLWsLink } from "@apollo/client/link/subscriptions";
import { OperationTypeNode } from "graphql";
import type { Client } from "graphql-ws";
import type { SessionClient } from "./session-client.ts";

/**
 * A terminating link: queries and mutations over HTTP to `uri` with the session's credentials, subscriptions over the connection
 * that the session client has anyway. What is under way when the session ends is aborted.
 */
export function sessionLink(client: SessionClient, options: { readonly uri: string }): ApolloLink {
  const overHttp = new HttpLink({ uri: options.uri, fetch: client.fetch });
  // The link uses nothing else of a graphql-ws client.
  const live = new GraphQLWsLink({ subscribe: client.subscribeOperation } as unknown as Client);
  return ApolloLink.split(
    ({ operationType }) => operationType === OperationTypeNode.SUBSCRIPTION,
    live,
    overHttp,
  );
}

/** Empties Apollo's cache before anybody hears of a sign-out; gives back what ends that. */
export function clearOnSignOut(client: SessionClient, apollo: ApolloClient): () => void {
  return client.registerCache(() => apollo.clearStore());
}
