import type { SessionEnd } from "./session-end.ts";
import type { Snapshot } from "./snapshot.ts";

/**
 * What an operation or a socket holds while it runs on behalf of a session. It ends when the session does.
 * Whoever holds one releases it when done, once.
 */
export interface Lease {
  /** The session and its user as last read; changes when they do. */
  readonly current: Snapshot;
  /** How the session ended; undefined while it is live. */
  readonly ended: SessionEnd | undefined;
  /**
   * The log does not say that the session ended, and yet the database does not have it any more, or could not
   * be asked after the log had changed. The holder stops, and its client has to come back and ask again.
   */
  readonly isLost: boolean;
  /** Ended or lost. */
  readonly isOver: boolean;
  /** Whether what is known of the session was overtaken by events, so that the database has to confirm it. */
  readonly isDoubted: boolean;
  /** Tells the holder in the turn in which the session ends or is lost; if that is over already, never. */
  tellOver(holder: LeaseHolder): void;
  /** The holder does not want to be told any more. */
  forgetHolder(holder: LeaseHolder): void;
  /** Says that this holder is an open connection: the session counts as online until it is released. */
  markConnected(): void;
  /** Says that the user did something, from which the idle timeout counts anew. An open connection alone is not that. */
  markUsed(): void;
  release(): void;
}

/** Wants to know when a lease is over. */
export interface LeaseHolder {
  /** Must not throw. */
  onOver(): void;
}

/** Hears of what becomes of the leases on a session. */
export interface LeaseHooks {
  readonly onConnected: (served: ServedSession) => void;
  readonly onUsed: (served: ServedSession) => void;
  readonly onReleased: (served: ServedSession) => void;
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
  // Not an AbortSignal, nor a Set: each open socket has one of these, and mostly with one holder.
  #holders: LeaseHolder[] | undefined;

  constructor(snapshot: Snapshot) {
    this.snapshot = snapshot;
    this.lastSeenAt = snapshot.session.lastSeenAt.getTime();
  }

  get id(): string {
    return this.snapshot.session.id;
  }

  finish(end: SessionEnd): void {
    this.end = end;
    this.#tellAll();
  }

  lose(): void {
    this.isLost = true;
    this.#tellAll();
  }

  lease(hooks: LeaseHooks): Lease {
    this.leases += 1;
    return new HeldLease(this, hooks);
  }

  tell(holder: LeaseHolder): void {
    if (this.end || this.isLost) return;
    if (this.#holders) this.#holders.push(holder);
    else this.#holders = [holder];
  }

  forget(holder: LeaseHolder): void {
    const index = this.#holders?.indexOf(holder) ?? -1;
    if (index >= 0) this.#holders?.splice(index, 1);
  }

  #tellAll(): void {
    const holders = this.#holders ?? [];
    this.#holders = undefined;
    for (const holder of holders) holder.onOver();
  }
}

class HeldLease implements Lease {
  readonly #served: ServedSession;
  readonly #hooks: LeaseHooks;
  #isConnected = false;
  #isReleased = false;

  constructor(served: ServedSession, hooks: LeaseHooks) {
    this.#served = served;
    this.#hooks = hooks;
  }

  get current(): Snapshot {
    return this.#served.snapshot;
  }

  get ended(): SessionEnd | undefined {
    return this.#served.end;
  }

  get isLost(): boolean {
    return this.#served.isLost;
  }

  get isOver(): boolean {
    return this.#served.end !== undefined || this.#served.isLost;
  }

  get isDoubted(): boolean {
    return this.#served.isDoubted;
  }

  tellOver(holder: LeaseHolder): void {
    this.#served.tell(holder);
  }

  forgetHolder(holder: LeaseHolder): void {
    this.#served.forget(holder);
  }

  markConnected(): void {
    if (this.#isConnected || this.#isReleased) return;
    this.#isConnected = true;
    this.#served.connections += 1;
    this.#hooks.onConnected(this.#served);
  }

  markUsed(): void {
    if (!this.#isReleased) this.#hooks.onUsed(this.#served);
  }

  release(): void {
    if (this.#isReleased) return;
    this.#isReleased = true;
    this.#served.leases -= 1;
    if (this.#isConnected) this.#served.connections -= 1;
    this.#hooks.onReleased(this.#served);
  }
}
