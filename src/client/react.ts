import {
  createContext,
  createElement,
  type ReactNode,
  useContext,
  useEffect,
  useRef,
  useSyncExternalStore,
} from "react";
import type { SessionClient, SessionState, SignOutCause } from "./core.ts";

const ClientContext = createContext<SessionClient | undefined>(undefined);

/** What a server renders, and a browser until it knows. */
const LOADING: SessionState = { status: "loading" };

/** Gives the session to everything below. The client is made once, outside of any component. */
export function SessionProvider(props: {
  readonly client: SessionClient;
  readonly children?: ReactNode;
}): ReactNode {
  return createElement(ClientContext.Provider, { value: props.client }, props.children);
}

/** The client of the {@link SessionProvider} around. Throws if there is none. */
export function useSessionClient(): SessionClient {
  const client = useContext(ClientContext);
  if (!client) throw new Error("Put a <SessionProvider client={client}> around what uses the session.");
  return client;
}

/** Whether somebody is signed in, and who; renders anew when that changes. */
export function useSession(): SessionState {
  const client = useSessionClient();
  return useSyncExternalStore(client.subscribe, client.getSnapshot, () => LOADING);
}

/** Calls back when the session ends without the user having asked for it here. */
export function useRevoked(callback: (cause: SignOutCause | undefined) => void): void {
  const client = useSessionClient();
  // The newest callback is called, though the subscription stays the same over renders.
  const latest = useRef(callback);
  useEffect(() => {
    latest.current = callback;
  });
  useEffect(() => client.onRevoked((cause) => latest.current(cause)), [client]);
}

/** Whether the connection is open by which this page is told of changes. */
export function useConnected(): boolean {
  const client = useSessionClient();
  return useSyncExternalStore(client.onConnection, client.isConnected, () => false);
}

/** Shows its children while somebody is signed in. */
export function SignedIn({ children }: { readonly children?: ReactNode }): ReactNode {
  return useSession().status === "signedIn" ? children : null;
}

/** Shows its children once it is known that nobody is signed in. */
export function SignedOut({ children }: { readonly children?: ReactNode }): ReactNode {
  return useSession().status === "signedOut" ? children : null;
}
