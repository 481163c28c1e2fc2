import type { Logger } from "pino";
import type { PrismaClient } from "../database/generated/client.ts";
import type { Directory } from "../revocation/directory.ts";
import type { Feed } from "../revocation/feed.ts";
import type { Lease } from "../revocation/lease.ts";
import type { SessionEnd } from "../revocation/session-end.ts";
import type { Snapshot } from "../revocation/snapshot.ts";
import type { ValidityRules } from "../revocation/validity.ts";
import type { AccessTokenPolicy } from "../sessions/access-token.ts";
import type { Lifetimes, Origin } from "../sessions/login.ts";
import { type Prover, recentUntil } from "../sessions/reauthenticate.ts";
import type { Revoker } from "../sessions/revoke.ts";
import { hasScope, isServiceAccount, type Scope } from "../sessions/service-accounts.ts";
import type { Signer } from "../sessions/signing-keys.ts";
import type { PasswordHasher } from "../users/password.ts";
import type { Capability, Roles } from "../users/roles.ts";
import type { Throttle } from "../users/throttle.ts";
import {
  forbidden,
  reauthenticationRequired,
  serviceUnavailable,
  tokenRotated,
  unauthenticated,
} from "./errors.ts";
import type { Loaders } from "./loaders.ts";

/** What resolvers may use, the same for every operation. */
export interface Rooms {
  readonly log: Logger;
  readonly prisma: PrismaClient;
  readonly passwords: PasswordHasher;
  readonly throttle: Throttle;
  readonly roles: Roles;
  readonly directory: Directory;
  readonly feed: Feed;
  /** The database's time in milliseconds since the epoch. */
  readonly now: () => number;
  /** Hears what becomes of an attempt to log in. */
  readonly onLogin: (outcome: string) => void;
  /** How far this node has read the log. */
  readonly logStatus: () => LogStatus;
  /** Signs what other services check. */
  readonly signer: Signer;
  /** Resolves once this node has applied what was committed so far; rejects with `TailBehindError`. */
  readonly catchUp: () => Promise<void>;
  readonly rules: ValidityRules;
  readonly lifetimes: Lifetimes;
  readonly policies: Policies;
}

/** How far a node has read the log. */
export interface LogStatus {
  /** The id of the newest event that it has applied. */
  readonly head: string;
  /** How long ago it began to read the log as it knows it, in milliseconds. */
  readonly stalenessMs: number;
}

/** What the operator decides about accounts. */
interface Policies extends AccessTokenPolicy {
  /** NODE_ENV is production. */
  readonly isProduction: boolean;
  /** Whether a sign-up says that an email is taken. */
  readonly signUpDiscloses: boolean;
  /** Whether ending other sessions of one's own needs a recent proof of the password. */
  readonly revokingNeedsRecentAuthentication: boolean;
}

/** Whom a request speaks for. */
export type Credentials =
  | { readonly kind: "anonymous" }
  | { readonly kind: "ended"; readonly end: SessionEnd }
  /** The token was a live session's until just now; its owner has a new one. */
  | { readonly kind: "rotated" }
  | { readonly kind: "live"; readonly lease: Lease };

/** The cookie of the browser that made the request. Absent over WebSocket, which cannot set one. */
export interface CookieJar {
  /** `maxAgeSeconds` undefined: until the browser is closed. */
  readonly set: (token: string, maxAgeSeconds: number | undefined) => void;
  readonly clear: () => void;
}

/** One operation. */
export interface Context extends Rooms {
  readonly credentials: Credentials;
  /** How the request's token came, if one did. */
  readonly presentedBy: "bearer" | "cookie" | undefined;
  readonly loaders: Loaders;
  readonly cookies: CookieJar | undefined;
  readonly isBrowser: boolean;
  readonly origin: Origin;
  /** Gives the operation's lease back when it is over. The lease of a socket is the socket's to give back. */
  readonly release: () => void;
  /** Calls back once nobody waits for the answer any more. A socket's operations are told so by the protocol. */
  readonly onGone: (listener: () => void) => void;
  /** Ends a stream without its last word, so that the client comes back. A socket is closed by its connection. */
  readonly cut: () => void;
  /**
   * Set by what is about its own session's end, so that it is still answered: the mutation that ends it, and
   * `sessionRevoked`. Of every other operation nothing is sent once its lease has ended.
   */
  outlivesLease: boolean;
}

/**
 * The session and the user of a person. Throws `UNAUTHENTICATED`, with the reason if the session ended, and `FORBIDDEN` for
 * service accounts, which have no devices, password or role.
 */
export function requireViewer(context: Context): Snapshot {
  const { current } = requireLease(context);
  if (isServiceAccount(current)) throw forbidden();
  return current;
}

/** A service account whose token has this scope. Throws `FORBIDDEN` too. */
export function requireScope(context: Context, scope: Scope): Snapshot {
  const { current } = requireLease(context);
  if (!hasScope(current, scope)) throw forbidden();
  return current;
}

/** Whether whoever makes the request may read everybody's events: by their role, or their token's scope. */
export function mayReadAnyEvents({ roles }: Pick<Context, "roles">, viewer: Snapshot): boolean {
  return roles.can(viewer.user.role, "readAnySessions") || hasScope(viewer, "events:read");
}

/** Asked anew for each field: an earlier field of the same operation may have ended the session. */
export function requireLease({ credentials }: Context): Lease {
  switch (credentials.kind) {
    case "anonymous":
      throw unauthenticated();
    case "ended":
      throw unauthenticated(credentials.end);
    case "rotated":
      throw tokenRotated();
    case "live":
      if (credentials.lease.ended) throw unauthenticated(credentials.lease.ended);
      if (credentials.lease.isLost) throw serviceUnavailable();
      return credentials.lease;
  }
}

/** Like {@link requireViewer}, for what only some roles may do. Throws `FORBIDDEN` too. */
export function requireCapability(context: Context, capability: Capability): Snapshot {
  const viewer = requireViewer(context);
  if (!context.roles.can(viewer.user.role, capability)) throw forbidden();
  return viewer;
}

/** For what an unattended device must not be enough for. Throws `FORBIDDEN` with the reason `REAUTHENTICATE`. */
export function requireRecentAuthentication(context: Context): void {
  const { session } = requireViewer(context);
  if (context.now() > recentUntil(session)) throw reauthenticationRequired();
}

/** The viewer as one who proves their password. */
export function proverOf(context: Context): Prover {
  const { session, user } = requireViewer(context);
  return { userId: user.id, sessionId: session.id, ipAddress: context.origin.ipAddress };
}

/** The viewer as one who ends sessions. */
export function revokerOf(context: Context): Revoker {
  const { current } = requireLease(context);
  const { session, user } = current;
  if (isServiceAccount(current)) {
    requireScope(context, "sessions:revoke");
    const service = { userId: user.id, sessionId: session.id, ipAddress: context.origin.ipAddress };
    return { ...service, isRecent: true, mayEndAnySessions: true };
  }
  const { revokingNeedsRecentAuthentication } = context.policies;
  return {
    userId: user.id,
    sessionId: session.id,
    isRecent: !revokingNeedsRecentAuthentication || context.now() <= recentUntil(session),
    mayEndAnySessions: context.roles.can(user.role, "endAnySessions"),
    ipAddress: context.origin.ipAddress,
  };
}
