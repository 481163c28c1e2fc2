import { watchDevice } from "./device.ts";
import {
  ChangePasswordDocument,
  ConfirmSignUpDocument,
  CurrentSessionDocument,
  LoginDocument,
  LogoutDocument,
  MySessionsDocument,
  ReauthenticateDocument,
  type RevocationReason,
  RevokeAllSessionsDocument,
  RevokeSessionDocument,
  SignUpDocument,
  type TypedDocumentString,
} from "./generated/graphql.ts";
import { createLive } from "./live.ts";
import type { SessionClient, SessionClientOptions } from "./session-client.ts";
import {
  createSessionStore,
  type SessionInfo,
  type SessionUser,
  SignedOutError,
  type SignOutCause,
} from "./state.ts";
import { alone, createTabs, type TabMessage } from "./tabs.ts";
import { createTransport, inMemory, RefusedError } from "./transport.ts";

export { type PerSignIn, perSignIn } from "./per-sign-in.ts";
export type { SessionClient, SessionClientOptions } from "./session-client.ts";
export {
  type SessionInfo,
  type SessionState,
  type SessionUser,
  SignedOutError,
  type SignOutCause,
} from "./state.ts";
export { inMemory, RefusedError, type TokenStorage, UnavailableError } from "./transport.ts";
export type { RevocationReason };

/** The pause before the service is asked again that could not be reached doubles from here to there. Milliseconds. */
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 30_000;
/** The pause before a connection is tried again that the service ended without a word, though the session lives. */
const DOUBT_PAUSE_MS = 5_000;
/** How long another tab may take to say why the cookie is gone that this one shares with it. */
const WORD_MS = 2_000;
/** A page that was away for so long may have slept. */
const ASLEEP_AFTER_MS = 30_000;
/** For what is not to be aborted by a sign-out, because it brings one about or follows it. */
const NEVER = new AbortController().signal;

export function createSessionClient(options: SessionClientOptions): SessionClient {
  const isPage = typeof document !== "undefined" && typeof BroadcastChannel !== "undefined";
  const usesCookie = (options.credentials ?? (isPage ? "cookie" : "bearer")) === "cookie";
  const tokens = usesCookie ? undefined : (options.storage ?? inMemory());
  const onError = options.onError ?? (() => {});
  const fetch = options.fetch ?? globalThis.fetch.bind(globalThis);
  const store = createSessionStore(onError);
  const transport = createTransport({ url: options.url, origins: options.origins ?? [], fetch, tokens });
  const tabs = usesCookie && isPage ? createTabs(`live-logout ${options.url}`, hear) : alone;
  /** While a logout is under way that was asked for here, its end is no news to anybody. */
  let isLeaving = false;
  let isClosed = false;
  let checking: Promise<void> | undefined;
  let retry: ReturnType<typeof setTimeout> | undefined;
  let failures = 0;
  let stopLeading: (() => void) | undefined;
  let restart: ReturnType<typeof setTimeout> | undefined;
  let isConnected = false;
  const connectionListeners = new Set<() => void>();
  /** What the connection's end said, until the service was asked. */
  let hint: SignOutCause | undefined;

  const live = createLive({
    url: options.url,
    webSocketImpl: options.webSocketImpl ?? globalThis.WebSocket,
    tokens,
    fetch,
    onError,
    onConnection(isOpen) {
      if (isOpen === isConnected) return;
      isConnected = isOpen;
      for (const listener of [...connectionListeners]) listener();
    },
    onEnd: (cause) => leave(cause),
    async onDoubt(reason) {
      // The service tells the reason in words; if it cannot be asked, or not any more, the bare reason has to do.
      hint = reason && { reason, message: "You were logged out." };
      await check();
      if (store.current().status !== "signedIn" || isClosed) return;
      if (hint) return leave(hint);
      restart = setTimeout(() => stopLeading && live.start(), DOUBT_PAUSE_MS);
    },
  });

  function enter(user: SessionUser, session: SessionInfo, isNew: boolean): void {
    store.signIn(user, session, isNew);
    stopLeading ??= tabs.lead(() => live.start());
  }

  function disconnect(): void {
    clearTimeout(restart);
    stopLeading?.();
    stopLeading = undefined;
    live.stop();
  }

  function leave(cause: SignOutCause | undefined, heard?: { readonly isAsked: boolean }): void {
    const before = store.current();
    // A logout in another tab is one that was asked for, too; its connection may hear of it before that tab tells.
    const isAsked = heard?.isAsked ?? (isLeaving || cause?.reason === "LOGOUT");
    hint = undefined;
    disconnect();
    void tokens?.set(undefined);
    store.signOut(cause, isAsked);
    if (!heard && before.status === "signedIn") {
      tabs.tell({ kind: "signedOut", sessionId: before.session.id, cause, isAsked });
    }
  }

  /** What another tab says. */
  function hear(message: TabMessage): void {
    const state = store.current();
    if (message.kind === "changed") return void checkAnew();
    // Signed in anew meanwhile: that other session's end is not this one's.
    if (state.status === "signedIn" && state.session.id !== message.sessionId) return void checkAnew();
    leave(message.cause, message);
  }

  /** What is being asked already may have been answered before whatever is the reason to ask. */
  async function checkAnew(): Promise<void> {
    await checking;
    await check();
  }

  function check(): Promise<void> {
    checking ??= look().finally(() => {
      checking = undefined;
    });
    return checking;
  }

  async function look(): Promise<void> {
    clearTimeout(retry);
    const era = store.era();
    try {
      const { viewer, currentSession } = await transport.run(CurrentSessionDocument, {}, era);
      if (era.aborted || isClosed) return;
      failures = 0;
      if (viewer && currentSession) return enter(viewer, currentSession, false);
      // Whichever tab was refused first had its cookie taken back, and with it that of all; only that one was told why.
      if (store.current().status === "signedIn" && !hint) await tabs.nextWord(WORD_MS);
      if (!era.aborted && !isClosed) leave(hint);
    } catch (error) {
      if (era.aborted || isClosed) return;
      if (error instanceof RefusedError && error.code === "UNAUTHENTICATED") return leave(causeOf(error));
      onError(error);
      const pause = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** failures++);
      retry = setTimeout(() => void check(), pause * (0.5 + Math.random() / 2));
    }
  }

  /** Runs an operation; whoever turns out to be signed out by it is. */
  async function run<Data, Variables>(
    document: TypedDocumentString<Data, Variables>,
    variables: Variables,
    era = store.era(),
  ): Promise<Data> {
    try {
      return await transport.run(document, variables, era);
    } catch (error) {
      if (error instanceof RefusedError && error.code === "UNAUTHENTICATED" && !era.aborted) {
        if (store.current().status === "signedIn") leave(causeOf(error));
      }
      throw error;
    }
  }

  /** The session of a login or a sign-up. */
  async function begin(token: string | null | undefined): Promise<void> {
    // An answer that says "nobody" and is still on its way was right when it was given.
    store.renewEra();
    if (token) await tokens?.set(token);
    const { viewer, currentSession } = await transport.run(CurrentSessionDocument, {}, NEVER);
    if (!viewer || !currentSession) throw new SignedOutError();
    disconnect();
    enter(viewer, currentSession, true);
    tabs.tell({ kind: "changed" });
    start();
  }

  const returnToken = tokens ? true : undefined;
  let stopWatching: (() => void) | undefined;
  /** With the first who wants to know: a client that is made while a server renders asks nobody anything. */
  function start(): void {
    if (stopWatching || isClosed) return;
    stopWatching = isPage ? watchDevice({ onBack, onReturn }) : () => {};
    void check();
  }
  /** The network is back. */
  function onBack(): void {
    live.wake();
    void check();
  }
  /** The page is looked at again; `awayMs` later. */
  function onReturn(awayMs: number): void {
    live.wake();
    // A connection that slept with its device may be dead without anybody having noticed.
    if (awayMs > ASLEEP_AFTER_MS) live.renew();
    void check();
  }

  return {
    getSnapshot: store.current,
    subscribe(listener) {
      start();
      return store.subscribe(listener);
    },
    registerCache: store.registerCache,
    onRevoked(listener) {
      start();
      return store.onRevoked(listener);
    },
    async login(input) {
      const { login } = await run(LoginDocument, { input: { ...input, returnToken } }, NEVER);
      if (login.__typename === "LoginSuccess") await begin(login.token);
      return login;
    },
    async signUp(input) {
      const { signUp } = await run(SignUpDocument, { input: { ...input, returnToken } }, NEVER);
      if (signUp.__typename === "LoginSuccess") await begin(signUp.token);
      return signUp;
    },
    async confirmSignUp(input) {
      const { confirmSignUp } = await run(ConfirmSignUpDocument, { input: { ...input, returnToken } }, NEVER);
      if (confirmSignUp.__typename === "LoginSuccess") await begin(confirmSignUp.token);
      return confirmSignUp;
    },
    async logout() {
      isLeaving = true;
      try {
        await transport.run(LogoutDocument, {}, NEVER);
        leave(undefined);
      } catch (error) {
        // A session that has ended already is what was asked for.
        if (!(error instanceof RefusedError) || error.code !== "UNAUTHENTICATED") throw error;
        leave(undefined);
      } finally {
        isLeaving = false;
      }
    },
    async changePassword(input) {
      const { changePassword } = await run(ChangePasswordDocument, { input: { ...input, returnToken } });
      if (changePassword.__typename === "ChangePasswordSuccess") await keep(changePassword.token);
      return changePassword;
    },
    async reauthenticate(password) {
      const { reauthenticate } = await run(ReauthenticateDocument, { password });
      if (reauthenticate.__typename === "ReauthenticateSuccess") await keep(reauthenticate.token);
      return reauthenticate;
    },
    sessions: async () => (await run(MySessionsDocument, {})).mySessions,
    revoke: async (id) => (await run(RevokeSessionDocument, { id })).revokeSession,
    revokeAll: async ({ exceptCurrent = false } = {}) =>
      (await run(RevokeAllSessionsDocument, { exceptCurrent })).revokeAllSessions,
    run,
    async fetch(input, init) {
      const era = store.era();
      const response = await transport.fetch(input, init, era);
      if (await isUnauthenticated(response)) void check();
      if (era.aborted) throw new SignedOutError();
      return response;
    },
    subscribeOperation: live.subscribe,
    isConnected: () => isConnected,
    onConnection(listener) {
      connectionListeners.add(listener);
      return () => void connectionListeners.delete(listener);
    },
    check,
    close() {
      isClosed = true;
      clearTimeout(retry);
      stopWatching?.();
      disconnect();
      tabs.close();
    },
  };

  /** A token that took the place of the one before. */
  async function keep(token: string | null | undefined): Promise<void> {
    if (token) await tokens?.set(token);
  }
}

function causeOf({ message, extensions }: RefusedError): SignOutCause | undefined {
  const { reason, revokedAt } = extensions;
  if (typeof reason !== "string") return undefined;
  return {
    reason: reason as RevocationReason,
    message,
    revokedAt: typeof revokedAt === "string" ? revokedAt : undefined,
  };
}

/** Whether a GraphQL answer says that nobody is logged in. The answer itself stays to be read. */
async function isUnauthenticated(response: Response): Promise<boolean> {
  if (response.status === 401) return true;
  if (!response.headers.get("content-type")?.includes("json")) return false;
  const answer: unknown = await response
    .clone()
    .json()
    .catch(() => undefined);
  const errors =
    typeof answer === "object" && answer !== null && "errors" in answer ? answer.errors : undefined;
  return Array.isArray(errors) && errors.some((error) => error?.extensions?.code === "UNAUTHENTICATED");
}
