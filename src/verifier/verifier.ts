import { createRemoteJWKSet, errors, type JWTPayload, jwtVerify } from "jose";
import { InvalidTokenError, SessionEndedError, UnavailableError } from "./errors.ts";
import { followEnds } from "./follow-ends.ts";

export { InvalidTokenError, SessionEndedError, UnavailableError } from "./errors.ts";

/** As the service's own: past it a node vouches for nobody. */
const DEFAULT_BOUND_MS = 10_000;
/** The longest that the service lets access tokens live (its setting ACCESS_TOKEN_TTL), and a minute for clocks. */
const DEFAULT_TOKEN_AGE_MS = 3_660_000;
/** A node that has not heard of an end yet may issue a token after it, for as long as its bound: ends matter a little longer. */
const SLACK_MS = 60_000;
/** How far the clock of this machine may be off. */
const CLOCK_TOLERANCE_S = 5;
/** How often it is looked at whether the bound has passed, and what need not be remembered any more. */
const UPKEEP_INTERVAL_MS = 250;

export interface VerifierOptions {
  /** Where the service speaks GraphQL: `https://login.example.com/graphql`. */
  readonly url: string;
  /** Of a service account with the scope `events:read`. */
  readonly serviceToken: string;
  /** The `iss` of tokens; by default the origin of `url`. */
  readonly issuer?: string;
  /** The `aud` of tokens; by default the issuer. */
  readonly audience?: string;
  /** How old the knowledge of which sessions ended may be; past it every token is refused. Milliseconds, 10 000 by default. */
  readonly boundMs?: number;
  /** How old a token may be; by default 61 minutes. As long as ends of sessions are remembered. */
  readonly maxTokenAgeMs?: number;
  /** A WebSocket class; by default the global one. */
  readonly webSocketImpl?: unknown;
  /** Hears what went wrong in the background; by default nobody does. */
  readonly onError?: (error: unknown) => void;
}

/** Whom a token speaks for. */
export interface Claims {
  readonly userId: string;
  readonly sessionId: string;
  readonly role: string;
  readonly expiresAt: Date;
  /** All that stands in the token. */
  readonly payload: JWTPayload;
}

/** The right to act for a session for as long as it lives. */
export interface SessionLease {
  readonly claims: Claims;
  /** Aborts when the session ends, with a {@link SessionEndedError}, or an {@link UnavailableError} past the bound. */
  readonly signal: AbortSignal;
  /** To be called when it is not needed any more. */
  readonly release: () => void;
}

export interface Verifier {
  /** Resolves once tokens can be verified. */
  readonly ready: () => Promise<void>;
  /**
   * Whom a token speaks for. Throws {@link InvalidTokenError}, {@link SessionEndedError} and {@link UnavailableError}.
   */
  readonly verify: (token: string) => Promise<Claims>;
  /** The same for what goes on, as a socket does: the lease tells when the session ends, also after the token has expired. */
  readonly hold: (token: string) => Promise<SessionLease>;
  /** Lets go of the service. Every lease aborts. */
  readonly close: () => void;
}

/**
 * Checks the access tokens of a live-logout service locally, and refuses them the moment their session ends: it follows the
 * service's log as the service's own nodes do, with the same bound and the same answer past it, which is no.
 */
export function createVerifier(options: VerifierOptions): Verifier {
  const { boundMs = DEFAULT_BOUND_MS, maxTokenAgeMs = DEFAULT_TOKEN_AGE_MS } = options;
  const issuer = options.issuer ?? new URL(options.url).origin;
  const keys = createRemoteJWKSet(new URL("/.well-known/jwks.json", options.url));
  /** Sessions that ended lately, in that order, with the reason and when that was heard. */
  const ended = new Map<string, { readonly reason: string; readonly heardAt: number }>();
  const leases = new Map<string, Set<AbortController>>();
  const waiting = new Set<() => void>();

  const follower = followEnds({
    url: options.url,
    serviceToken: options.serviceToken,
    memoryMs: maxTokenAgeMs + SLACK_MS,
    webSocketImpl: options.webSocketImpl ?? globalThis.WebSocket,
    onError: options.onError ?? (() => {}),
    onEnd(sessionId, reason) {
      ended.delete(sessionId);
      ended.set(sessionId, { reason, heardAt: performance.now() });
      for (const lease of leases.get(sessionId) ?? []) lease.abort(new SessionEndedError(reason));
      leases.delete(sessionId);
    },
  });
  const isFresh = () => follower.stalenessMs() <= boundMs;

  function abortAll(): void {
    for (const held of leases.values()) {
      for (const lease of held) lease.abort(unavailable());
    }
    leases.clear();
  }

  const upkeep = setInterval(() => {
    if (!isFresh()) return abortAll();
    for (const resolve of waiting) resolve();
    waiting.clear();
    for (const [sessionId, { heardAt }] of ended) {
      if (performance.now() - heardAt <= maxTokenAgeMs + SLACK_MS) break;
      ended.delete(sessionId);
    }
  }, UPKEEP_INTERVAL_MS);

  async function check(token: string): Promise<Claims> {
    try {
      const { payload } = await jwtVerify(token, keys, {
        issuer,
        audience: options.audience ?? issuer,
        algorithms: ["ES256"],
        typ: "at+jwt",
        clockTolerance: CLOCK_TOLERANCE_S,
        // What is older may be of a session whose end is not remembered any more.
        maxTokenAge: maxTokenAgeMs / 1_000,
        requiredClaims: ["sub", "sid", "role", "exp", "jti"],
      });
      return {
        userId: String(payload.sub),
        sessionId: String(payload["sid"]),
        role: String(payload["role"]),
        expiresAt: new Date((payload.exp ?? 0) * 1_000),
        payload,
      };
    } catch (error) {
      throw isTokensFault(error)
        ? new InvalidTokenError("The access token is not valid.", { cause: error })
        : new UnavailableError("The service's keys cannot be had.", { cause: error });
    }
  }

  /** In the turn that the answer is given in: the process may have been paused, or the session ended, since. */
  function refuseUnlessLive(sessionId: string): void {
    if (!isFresh()) throw unavailable();
    const end = ended.get(sessionId);
    if (end) throw new SessionEndedError(end.reason);
  }

  return {
    ready: () => new Promise((resolve) => void (isFresh() ? resolve() : waiting.add(resolve))),
    async verify(token) {
      const claims = await check(token);
      refuseUnlessLive(claims.sessionId);
      return claims;
    },
    async hold(token) {
      const claims = await check(token);
      refuseUnlessLive(claims.sessionId);
      const lease = new AbortController();
      const beside = leases.get(claims.sessionId) ?? new Set();
      leases.set(claims.sessionId, beside.add(lease));
      return {
        claims,
        signal: lease.signal,
        release() {
          beside.delete(lease);
          if (beside.size === 0 && leases.get(claims.sessionId) === beside) leases.delete(claims.sessionId);
        },
      };
    },
    close() {
      clearInterval(upkeep);
      follower.close();
      abortAll();
    },
  };
}

function unavailable(): UnavailableError {
  return new UnavailableError("The service was not heard for too long to say whether the session lives.");
}

/** Whether the token is bad, and not the way to the keys that it would be checked by. */
function isTokensFault(error: unknown): boolean {
  if (error instanceof errors.JWKSTimeout || error instanceof errors.JWKSInvalid) return false;
  return error instanceof errors.JOSEError && error.code !== "ERR_JOSE_GENERIC";
}
