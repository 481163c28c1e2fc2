import type { SessionClient } from "./session-client.ts";

/** Something that is made anew with each sign-out; for `useSyncExternalStore`. */
export interface PerSignIn<T> {
  readonly current: () => T;
  readonly subscribe: (listener: () => void) => () => void;
}

/**
 * For what forgets its data only by being made anew, as urql's client and Relay's environment: each sign-out makes another one
 * before anybody hears of it.
 */
export function perSignIn<T>(client: SessionClient, make: () => T): PerSignIn<T> {
  let current = make();
  client.registerCache(() => {
    current = make();
  });
  return { current: () => current, subscribe: client.subscribe };
}
