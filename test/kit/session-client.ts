import {
  createSessionClient,
  type SessionClient,
  type SessionClientOptions,
  type SessionState,
} from "../../src/client/core.ts";
import { within } from "./deadline.ts";

/** The SDK as a program that is no browser uses it. The caller closes it. */
export function createSdk(url: string, options: Partial<SessionClientOptions> = {}): SessionClient {
  return createSessionClient({ url: `${url}/graphql`, ...options });
}

/** Resolves once the client is in this status; fails after a deadline. */
export async function untilStatus<Status extends SessionState["status"]>(
  client: Pick<SessionClient, "getSnapshot" | "subscribe">,
  status: Status,
  ms = 10_000,
): Promise<Extract<SessionState, { status: Status }>> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const look = () => {
    if (client.getSnapshot().status === status) resolve();
  };
  const unsubscribe = client.subscribe(look);
  look();
  await within(ms, `the status ${status}`, promise);
  unsubscribe();
  return client.getSnapshot() as Extract<SessionState, { status: Status }>;
}
