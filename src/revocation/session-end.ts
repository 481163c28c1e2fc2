import type { RevocationReason } from "./reasons.ts";

/** That a session ended, and why: what subscribers are told. */
export interface SessionEnd {
  readonly sessionId: string;
  readonly userId: string;
  readonly reason: RevocationReason;
  readonly revokedAt: Date;
}
