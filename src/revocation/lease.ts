import { setMaxListeners } from "node:events";
import type { SessionEnd } from "./session-end.ts";
import type { Snapshot } from "./snapshot.ts";

/**
 * What an operation or a socket holds while it runs on behalf of a session. It ends when the session does.
 * Whoever holds one releases it when done, once.
 */
export interface Lease {
  /** The session and its user as last read; changes when they do. */
  readonly current: Snapshot;
  /** Aborts when the session ends; its `reason` is the {@link SessionEnd}. Or when the session is lost. */
  readonly signal: AbortSignal;
  /** How the session ended; undefined while it is live. */
  readonly ended: SessionEnd | undefined;
  /**
   * The log does not say that the session ended, and yet the database does not have it any more, or could not
   * be asked after the log had changed. The holder stops, and its client has to come back and ask again.
   */
  readonly isLost: boolean;
  /** Whether what is known of the session was overtaken by events, so that the database has to confirm it. */
  readonly isDoubted: boolean;
  /** Says that this holder is an open connection: the session counts as online until it is released. */
  readonly markConnected: () => void;
  /** Says that the user did something, from which the idle timeout counts anew. An open connection alone is not that. */
  readonly markUsed: () => void;
  readonly release: () => void;
}

/** One session that this node serves, with all that is held on it. Internal to the directory. */
export class ServedSession {
  snapshot: Snapshot;
  lastSeenAt: number;
  leases = 0;
  connections = 0;
  end: SessionEnd | undefined;
  isLost = false;
  isDoubted = false;
  readonly #controller = new AbortController();

  constructor(snapshot: Snapshot) {
    this.snapshot = snapshot;
    this.lastSeenAt = snapshot.session.lastSeenAt.getTime();
    // One session may run any number of operations; each listens.
    setMaxListeners(0, this.#controller.signal);
  }

  get id(): string {
    return this.snapshot.session.id;
  }

  finish(end: SessionEnd): void {
    this.end = end;
    this.#controller.abort(end);
  }

  lose(): void {
    this.isLost = true;
    this.#controller.abort();
  }

  lease(hooks: {
    readonly onConnected: (served: ServedSession) => void;
    readonly onUsed: (served: ServedSession) => void;
    readonly onReleased: (served: ServedSession) => void;
  }): Lease {
    const served = this;
    const { signal } = this.#controller;
    let connected = false;
    let released = false;
    this.leases += 1;
    return {
      get current() {
        return served.snapshot;
      },
      signal,
      get ended() {
        return served.end;
      },
      get isLost() {
        return served.isLost;
      },
      get isDoubted() {
        return served.isDoubted;
      },
      markConnected() {
        if (connected || released) return;
        connected = true;
        served.connections += 1;
        hooks.onConnected(served);
      },
      markUsed() {
        if (!released) hooks.onUsed(served);
      },
      release() {
        if (released) return;
        released = true;
        served.leases -= 1;
        if (connected) served.connections -= 1;
        hooks.onReleased(served);
      },
    };
  }
}
