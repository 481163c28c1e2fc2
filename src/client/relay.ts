import {
  type FetchFunction,
  type GraphQLResponse,
  Network,
  Observable,
  type SubscribeFunction,
} from "relay-runtime";
import type { SessionClient } from "./session-client.ts";

type RelayNetwork = ReturnType<typeof Network.create>;

/**
 * Queries and mutations over HTTP to `url` with the session's credentials, subscriptions over the connection that the session
 * client has anyway.
 */
export function sessionNetwork(client: SessionClient, options: { readonly url: string }): RelayNetwork {
  const fetchOperation: FetchFunction = async ({ text }, variables) => {
    const response = await client.fetch(options.url, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ query: text, variables }),
    });
    return (await response.json()) as GraphQLResponse;
  };
  const subscribe: SubscribeFunction = ({ text }, variables) =>
    Observable.create((sink) =>
      client.subscribeOperation(
        { query: text ?? "", variables },
        {
          next: (result) => sink.next(result as GraphQLResponse),
          error: (error) =>
            sink.error(
              error instanceof Error ? error : new Error("The subscription ended.", { cause: error }),
            ),
          complete: () => sink.complete(),
        },
      ),
    );
  return Network.create(fetchOperation, subscribe);
}
