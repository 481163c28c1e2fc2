import { type Exchange, subscriptionExchange } from "@urql/core";
import type { SessionClient } from "./session-client.ts";

/** An exchange that runs subscriptions over the connection that the session client has anyway. Put `fetch: client.fetch` beside it. */
export function sessionExchange(client: SessionClient): Exchange {
  return subscriptionExchange({
    forwardSubscription: ({ query = "", variables, extensions }) => ({
      subscribe: (sink) => ({
        unsubscribe: client.subscribeOperation(
          { query, variables: variables as Record<string, unknown>, extensions: extensions ?? null },
          sink as Parameters<typeof client.subscribeOperation>[1],
        ),
      }),
    }),
  });
}
