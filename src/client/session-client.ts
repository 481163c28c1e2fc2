import type {
  ChangePasswordInput,
  ChangePasswordMutation,
  ConfirmSignUpInput,
  ConfirmSignUpMutation,
  LoginInput,
  LoginMutation,
  MySessionsQuery,
  ReauthenticateMutation,
  RevokeAllSessionsMutation,
  RevokeSessionMutation,
  SignUpInput,
  SignUpMutation,
  TypedDocumentString,
} from "./generated/graphql.ts";
import type { Live } from "./live.ts";
import type { SessionState, SignOutCause } from "./state.ts";
import type { TokenStorage } from "./transport.ts";

export interface SessionClientOptions {
  /** Where the service speaks GraphQL: `https://login.example.com/graphql`. */
  readonly url: string;
  /** Origins of other services that honour the sessions: `client.fetch` sends credentials to them too, and to nobody else. */
  readonly origins?: readonly string[];
  /** `cookie`, the default in a browser, needs no storage. Elsewhere `bearer`, with a token that the client keeps. */
  readonly credentials?: "cookie" | "bearer";
  /** Where a bearer token is kept; by default in memory. */
  readonly storage?: TokenStorage;
  readonly fetch?: typeof globalThis.fetch;
  /** A WebSocket class; by default the global one. */
  readonly webSocketImpl?: unknown;
  /** Hears what went wrong in the background; by default nobody does. */
  readonly onError?: (error: unknown) => void;
}

type Without<T, Key extends PropertyKey> = T extends unknown ? Omit<T, Key> : never;

/** A client of the service: who is signed in, and being told at once when they are not any more. */
export interface SessionClient {
  /** The state now. The same object until it changes. */
  readonly getSnapshot: () => SessionState;
  /** Calls back after each change of the state; gives back what ends that. With the first, the client asks who is signed in. */
  readonly subscribe: (listener: () => void) => () => void;
  /** Calls back when a session ends that this client did not end itself. */
  readonly onRevoked: (listener: (cause: SignOutCause | undefined) => void) => () => void;
  /** Something that holds data of whoever is signed in: `clear` is called, and waited for, before anybody hears of a sign-out. */
  readonly registerCache: (clear: () => unknown) => () => void;
  readonly login: (input: Without<LoginInput, "returnToken">) => Promise<LoginMutation["login"]>;
  readonly signUp: (input: Without<SignUpInput, "returnToken">) => Promise<SignUpMutation["signUp"]>;
  /** Finishes a sign-up by the link of its mail, where the service tells nothing before. */
  readonly confirmSignUp: (
    input: Without<ConfirmSignUpInput, "returnToken">,
  ) => Promise<ConfirmSignUpMutation["confirmSignUp"]>;
  /** Ends the session at the service. Throws `UnavailableError`; the session lives on then. */
  readonly logout: () => Promise<void>;
  readonly changePassword: (
    input: Without<ChangePasswordInput, "returnToken">,
  ) => Promise<ChangePasswordMutation["changePassword"]>;
  readonly reauthenticate: (password: string) => Promise<ReauthenticateMutation["reauthenticate"]>;
  /** The user's active sessions, this one first. */
  readonly sessions: () => Promise<MySessionsQuery["mySessions"]>;
  readonly revoke: (sessionId: string) => Promise<RevokeSessionMutation["revokeSession"]>;
  readonly revokeAll: (options?: {
    readonly exceptCurrent?: boolean;
  }) => Promise<RevokeAllSessionsMutation["revokeAllSessions"]>;
  /** Runs any operation of the service. Throws `UnavailableError`, `RefusedError`, `SignedOutError`. */
  readonly run: <Data, Variables>(
    document: TypedDocumentString<Data, Variables>,
    variables: Variables,
  ) => Promise<Data>;
  /**
   * Like the global `fetch`, with the session's credentials for the service and for `origins`, for the app's own requests. Aborted when the session ends; an answer of `UNAUTHENTICATED` makes the client look whether it has.
   */
  readonly fetch: typeof globalThis.fetch;
  /** Runs a subscription of the app over the connection that the client has anyway. */
  readonly subscribeOperation: Live["subscribe"];
  /** Whether this client's connection is open now. Of several tabs, one has it, and those that run subscriptions of their own. */
  readonly isConnected: () => boolean;
  /** Calls back when the connection was opened or lost; gives back what ends that. */
  readonly onConnection: (listener: () => void) => () => void;
  /** Asks the service who is signed in. */
  readonly check: () => Promise<void>;
  /** Closes the connection and stops listening; nobody is signed out. */
  readonly close: () => void;
}
