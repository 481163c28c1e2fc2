import { createClient } from "graphql-sse";
import type { Client } from "graphql-ws";
import type { LiveOptions } from "./live.ts";

/** The same as a connection by WebSocket, over server-sent events: for networks that let no WebSocket through. */
export function connectBySse(
  { url, fetch, tokens }: LiveOptions,
  pauseBefore: (retries: number) => Promise<void>,
): Pick<Client, "subscribe" | "dispose"> {
  const client = createClient({
    url,
    credentials: tokens ? "omit" : "include",
    headers: async (): Promise<Record<string, string>> => {
      const token = await tokens?.get();
      return token === undefined ? {} : { authorization: `Bearer ${token}` };
    },
    fetchFn: fetch,
    retryAttempts: Number.POSITIVE_INFINITY,
    retry: pauseBefore,
  });
  return {
    // The two libraries are of one author, and their sinks are alike.
    subscribe: ((payload, sink) => client.subscribe(payload as never, sink as never)) as Client["subscribe"],
    dispose: () => client.dispose(),
  };
}
