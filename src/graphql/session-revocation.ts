import type { FollowedKey } from "../revocation/followers.ts";
import { messageFor } from "../revocation/reasons.ts";
import type { SessionEnd } from "../revocation/session-end.ts";
import type { Snapshot } from "../revocation/snapshot.ts";
import { builder } from "./builder.ts";
import { requireLease } from "./context.ts";
import { RevocationReasonEnum } from "./session.ts";

const RevocationScopeEnum = builder.enumType("RevocationScope", {
  description: "Of which sessions one wants to hear.",
  values: {
    CURRENT: { description: "The session that makes this request." },
    MINE: { description: "All sessions of its user." },
  } as const,
});

/** Whose ends one hears of who asks with this scope. */
export function keyToFollow(
  { session, user }: Snapshot,
  scope: "CURRENT" | "MINE" | null | undefined,
): FollowedKey {
  return scope === "MINE" ? { userId: user.id } : { sessionId: session.id };
}

const SessionRevocation = builder.objectRef<SessionEnd>("SessionRevocation").implement({
  description: "A session was revoked.",
  fields: (t) => ({
    sessionId: t.exposeID("sessionId", { description: "Which." }),
    userId: t.exposeID("userId", { description: "Whose." }),
    reason: t.expose("reason", { type: RevocationReasonEnum, description: "Why." }),
    revokedAt: t.expose("revokedAt", { type: "DateTime", description: "When." }),
    current: t.boolean({
      description: "True: it is you. Log out now; this connection closes next.",
      resolve: (end, _args, { credentials }) =>
        credentials.kind === "live" && credentials.lease.current.session.id === end.sessionId,
    }),
    message: t.string({
      description: 'For people: "You were logged out because your role changed."',
      resolve: (end) => messageFor(end.reason),
    }),
  }),
});

builder.subscriptionField("sessionRevoked", (t) =>
  t.field({
    type: SessionRevocation,
    description: "Tells that a session was revoked, the moment it is. Completes after that of one's own.",
    args: {
      scope: t.arg({ type: RevocationScopeEnum, description: "CURRENT if nothing is said." }),
    },
    subscribe: (_root, { scope }, context) => {
      const lease = requireLease(context);
      context.outlivesLease = true;
      lease.markConnected();
      const key = keyToFollow(lease.current, scope);
      return context.directory.follow(key, lease.current.session.id, (end) => end);
    },
    resolve: (end) => end,
  }),
);
