/** The token is no good: not signed by the service, for somebody else, or expired. To be answered with 401. */
export class InvalidTokenError extends Error {
  override readonly name = "InvalidTokenError";
}

/** The token's session has ended. To be answered with 401. */
export class SessionEndedError extends Error {
  override readonly name = "SessionEndedError";
  /** A `RevocationReason` of the service: `ROLE_CHANGED` and so on. */
  readonly reason: string;
  constructor(reason: string) {
    super(`The session has ended: ${reason}.`);
    this.reason = reason;
  }
}

/**
 * Whether the session lives cannot be said now: the service was not heard for longer than the bound. To be answered with 503;
 * nobody is logged out.
 */
export class UnavailableError extends Error {
  override readonly name = "UnavailableError";
}
