import type { SignOutCause } from "./state.ts";

/** What a tab tells the others of the same browser, which share its cookie. */
export type TabMessage =
  | {
      readonly kind: "signedOut";
      readonly sessionId: string;
      readonly cause: SignOutCause | undefined;
      readonly isAsked: boolean;
    }
  /** Somebody signed in, or the session changed: the others ask the service. */
  | { readonly kind: "changed" };

/** All tabs of one browser together. */
export interface Tabs {
  readonly tell: (message: TabMessage) => void;
  /** Waits until another tab's next message was heard, or for so many milliseconds if none comes. */
  readonly nextWord: (patienceMs: number) => Promise<void>;
  /**
   * Calls back once this tab is the one that holds the connection for all, which is when the one before it is gone. Gives
   * back what lets another have it.
   */
  readonly lead: (onLead: () => void) => () => void;
  readonly close: () => void;
}

/** Tabs that know of each other by `name`. */
export function createTabs(name: string, onMessage: (message: TabMessage) => void): Tabs {
  const channel = new BroadcastChannel(name);
  let heard = Promise.withResolvers<void>();
  channel.onmessage = ({ data }: MessageEvent<TabMessage>) => {
    onMessage(data);
    heard.resolve();
    heard = Promise.withResolvers();
  };
  return {
    tell: (message) => channel.postMessage(message),
    nextWord(patienceMs) {
      setTimeout(heard.resolve, patienceMs);
      return heard.promise;
    },
    lead(onLead) {
      // A browser does not freeze a page that holds a lock, so the tab that leads does not fall silent. Where there are
      // no locks (plain http but for localhost) each tab has a connection of its own.
      if (!navigator.locks) {
        onLead();
        return () => {};
      }
      const waiting = new AbortController();
      const done = Promise.withResolvers<void>();
      const holding = navigator.locks.request(name, { signal: waiting.signal }, () => {
        if (!waiting.signal.aborted) onLead();
        return done.promise;
      });
      // To give up waiting is what the signal is for.
      holding.catch(() => {});
      return () => {
        waiting.abort();
        done.resolve();
      };
    },
    close: () => channel.close(),
  };
}

/** What stands for the others where there are none. */
export const alone: Tabs = {
  tell() {},
  async nextWord() {},
  lead(onLead) {
    onLead();
    return () => {};
  },
  close() {},
};
