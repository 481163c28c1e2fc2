import type { Snapshot } from "../revocation/snapshot.ts";

export interface AccessTokenPolicy {
  /** How long an access token is good at most, in milliseconds. */
  readonly accessTokenTtlMs: number;
  /** The `aud` of access tokens; undefined: the same as their issuer. */
  readonly accessTokenAudience: string | undefined;
}

/** What an access token says of a session: claims of RFC 9068, `sid` of OpenID Connect, and the role. */
export function accessTokenClaims(
  { session, user }: Snapshot,
  now: number,
  policy: AccessTokenPolicy,
): {
  readonly claims: {
    readonly sub: string;
    readonly sid: string;
    readonly role: string;
    /** When the user last proved who they are, in seconds since the epoch: for services that want it to be recent. */
    readonly auth_time: number;
    readonly aud?: string;
  };
  readonly expiresAt: Date;
} {
  const { accessTokenTtlMs, accessTokenAudience: aud } = policy;
  return {
    claims: {
      sub: user.id,
      sid: session.id,
      role: user.role,
      auth_time: Math.floor(session.authenticatedAt.getTime() / 1_000),
      ...(aud === undefined ? {} : { aud }),
    },
    // The token is not to outlive its session by the clock either.
    expiresAt: new Date(Math.min(now + accessTokenTtlMs, session.expiresAt.getTime())),
  };
}
