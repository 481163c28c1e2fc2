import type { CurrentSessionQuery, RevocationReason } from "./generated/graphql.ts";

export type SessionUser = NonNullable<CurrentSessionQuery["viewer"]>;
export type SessionInfo = NonNullable<CurrentSessionQuery["currentSession"]>;

/** Why a session ended, for people and for programs. */
export interface SignOutCause {
  readonly reason: RevocationReason;
  /** "You were logged out because your role changed." */
  readonly message: string;
  /** When it ended, as ISO 8601. Undefined: not known. */
  readonly revokedAt?: string | undefined;
}

/** Whether somebody is signed in. Each state is a new object, and the same one until it changes. */
export type SessionState =
  /** Not known yet. */
  | { readonly status: "loading" }
  | { readonly status: "signedIn"; readonly user: SessionUser; readonly session: SessionInfo }
  /** `cause` is why a session ended that there was; undefined: nobody was signed in, or they signed out themselves. */
  | { readonly status: "signedOut"; readonly cause: SignOutCause | undefined };

/** What was asked for somebody who is signed out by now; the answer is nobody's to see. */
export class SignedOutError extends Error {
  override readonly name = "SignedOutError";
  constructor() {
    super("The session ended while this was under way.");
  }
}

/** How long a cache may take to be cleared before a sign-out is told anyway. */
const CLEARING_MS = 1_000;

/** The state with those who watch it, and what belongs to one sign-in and must not outlive it. */
export interface SessionStore {
  readonly current: () => SessionState;
  readonly subscribe: (listener: () => void) => () => void;
  /** Hears of sign-outs that the user did not ask for here. */
  readonly onRevoked: (listener: (cause: SignOutCause | undefined) => void) => () => void;
  /** Something that holds data of whoever is signed in; `clear` is called before anybody hears of a sign-out. */
  readonly registerCache: (clear: () => unknown) => () => void;
  /** Aborts when the present sign-in, or the absence of one, is over. */
  readonly era: () => AbortSignal;
  /** Aborts what is under way, because somebody is about to be signed in for whom it was not asked. */
  readonly renewEra: () => void;
  /** `isNew`: they just logged in; else it was found to be so. */
  readonly signIn: (user: SessionUser, session: SessionInfo, isNew: boolean) => void;
  /** `isAsked`: the user wanted it, here, so there is nothing to explain. */
  readonly signOut: (cause: SignOutCause | undefined, isAsked: boolean) => void;
}

export function createSessionStore(onError: (error: unknown) => void): SessionStore {
  let state: SessionState = { status: "loading" };
  let era = new AbortController();
  const listeners = new Set<() => void>();
  const revokedListeners = new Set<(cause: SignOutCause | undefined) => void>();
  const caches = new Set<() => unknown>();

  /** Calls all; one that fails is not to keep the others from hearing. What takes longer is given back. */
  function tell<Arguments extends unknown[]>(
    all: Iterable<(...args: Arguments) => unknown>,
    ...args: Arguments
  ): readonly Promise<unknown>[] {
    const pending: Promise<unknown>[] = [];
    for (const each of [...all]) {
      try {
        const outcome = each(...args);
        if (outcome instanceof Promise) pending.push(outcome.catch(onError));
      } catch (error) {
        onError(error);
      }
    }
    return pending;
  }

  function renewEra(): void {
    const over = era;
    era = new AbortController();
    over.abort(new SignedOutError());
  }

  /**
   * Goes over to another sign-in, or to none: what was under way for the one before is aborted, and what is kept of it is
   * forgotten before anybody hears.
   */
  function begin(next: SessionState, announce: () => void): void {
    state = next;
    renewEra();
    const clearing = tell(caches);
    if (clearing.length === 0) announce();
    else {
      const patience = new Promise((resolve) => setTimeout(resolve, CLEARING_MS));
      void Promise.race([Promise.all(clearing), patience]).then(announce);
    }
  }

  function add<T>(set: Set<T>, value: T): () => void {
    set.add(value);
    return () => void set.delete(value);
  }

  return {
    current: () => state,
    era: () => era.signal,
    renewEra,
    subscribe: (listener) => add(listeners, listener),
    onRevoked: (listener) => add(revokedListeners, listener),
    registerCache: (clear) => add(caches, clear),
    signIn(user, session, isNew) {
      const next: SessionState = { status: "signedIn", user, session };
      const isSame = state.status === "signedIn" && state.session.id === session.id;
      if (isSame && JSON.stringify(state) === JSON.stringify(next)) return;
      // What was asked before it was known who is signed in was asked for them.
      if (!isSame && (isNew || state.status !== "loading")) return begin(next, () => void tell(listeners));
      state = next;
      tell(listeners);
    },
    signOut(cause, isAsked) {
      if (state.status === "signedOut") return;
      const wasSignedIn = state.status === "signedIn";
      const next: SessionState = { status: "signedOut", cause: isAsked ? undefined : cause };
      const announce = () => {
        tell(listeners);
        if (!isAsked && (wasSignedIn || cause)) tell(revokedListeners, cause);
      };
      if (wasSignedIn) return begin(next, announce);
      state = next;
      announce();
    },
  };
}
