import { reportSession } from "../sessions/report.ts";
import { logOut, revokeAllSessions, revokeSession } from "../sessions/revoke.ts";
import { countByPolicy, revokeByPolicy } from "../sessions/revoke-by-policy.ts";
import { builder } from "./builder.ts";
import { requireCapability, requireRecentAuthentication, revokerOf } from "./context.ts";
import { reauthenticationRequired } from "./errors.ts";
import { NotFound, NotFoundError } from "./results.ts";
import { matching, SessionFilterInput, SessionObject } from "./session.ts";
import { clearOwnCookie } from "./token-delivery.ts";

class RevokeSessionSuccess {
  readonly session: typeof SessionObject.$inferType;
  constructor(session: typeof SessionObject.$inferType) {
    this.session = session;
  }
}

class RevokeAllSessionsSuccess {
  readonly revokedCount: number;
  constructor(revokedCount: number) {
    this.revokedCount = revokedCount;
  }
}

const RevokeSessionSuccessObject = builder.objectType(RevokeSessionSuccess, {
  name: "RevokeSessionSuccess",
  description: "The session is revoked: on the node that answers now, on the others within milliseconds.",
  isTypeOf: (value) => value instanceof RevokeSessionSuccess,
  fields: (t) => ({
    session: t.field({
      type: SessionObject,
      description: "The session, revoked. If it was revoked before, with the reason of that time.",
      resolve: (success) => success.session,
    }),
  }),
});

const RevokeSessionResult = builder.unionType("RevokeSessionResult", {
  description: "The session, revoked, or why not.",
  types: [RevokeSessionSuccessObject, NotFound],
});

const RevokeAllSessionsSuccessObject = builder.objectType(RevokeAllSessionsSuccess, {
  name: "RevokeAllSessionsSuccess",
  description: "The sessions are revoked: on the node that answers now, on the others within milliseconds.",
  isTypeOf: (value) => value instanceof RevokeAllSessionsSuccess,
  fields: (t) => ({
    revokedCount: t.exposeInt("revokedCount", {
      description: "How many were live until now; with `dryRun`, how many would end.",
    }),
  }),
});

const RevokeAllSessionsResult = builder.unionType("RevokeAllSessionsResult", {
  description: "How many sessions were revoked, or why none.",
  types: [RevokeAllSessionsSuccessObject, NotFound],
});

builder.mutationFields((t) => ({
  logout: t.field({
    type: RevokeSessionResult,
    description: "Ends the session that makes this request, with the reason LOGOUT.",
    resolve: async (_root, _args, context) => {
      const revoker = revokerOf(context);
      context.outlivesLease = true;
      const session = await logOut(context, revoker);
      clearOwnCookie(context);
      return new RevokeSessionSuccess(session);
    },
  }),
  revokeSession: t.field({
    type: RevokeSessionResult,
    description:
      "Ends a session: one's own with REVOKED_BY_USER (another than the one that asks only if that was authenticated " +
      "recently), anybody's for SUPPORT and ADMIN with REVOKED_BY_ADMIN.",
    args: { id: t.arg.id({ required: true, description: "The session's id." }) },
    resolve: async (_root, args, context) => {
      const revoker = revokerOf(context);
      const isCurrent = args.id.toLowerCase() === revoker.sessionId;
      if (isCurrent) context.outlivesLease = true;
      const session = await revokeSession(context, revoker, args.id);
      if (!session) return new NotFoundError("session");
      if (session === "notRecent") throw reauthenticationRequired();
      if (isCurrent) clearOwnCookie(context);
      return new RevokeSessionSuccess(session);
    },
  }),
  reportSession: t.field({
    type: RevokeSessionResult,
    description:
      '"This wasn\'t me": ends the session that a sign-in mail told of, with the reason REPORTED, and mails a link to choose a ' +
      "new password. Needs no login; the link is good once.",
    args: { token: t.arg.string({ required: true, description: "What stands in the mail's link." }) },
    resolve: async (_root, args, context) => {
      // Whoever reports the very session that they use loses it, and is still answered.
      context.outlivesLease = true;
      const session = await reportSession(context, args.token, context.origin.ipAddress);
      return session ? new RevokeSessionSuccess(session) : new NotFoundError("session");
    },
  }),
  revokeSessions: t.field({
    type: RevokeAllSessionsResult,
    description:
      "Ends all sessions that fit a filter, with the reason POLICY; an empty one fits everybody's. The session that " +
      "makes this request is spared. Works in batches; repeated after a failure it ends the rest. For ADMIN, recently " +
      "authenticated, but for counting.",
    args: {
      filter: t.arg({ type: SessionFilterInput, required: true, description: "Which sessions." }),
      dryRun: t.arg.boolean({ description: "Only count them." }),
    },
    resolve: async (_root, args, context) => {
      const mayGoOn = () => requireCapability(context, "endSessionsByPolicy");
      mayGoOn();
      const revoker = revokerOf(context);
      const policy = matching(args.filter, context);
      if (args.dryRun) return new RevokeAllSessionsSuccess(await countByPolicy(context, revoker, policy));
      requireRecentAuthentication(context);
      const onBatch = (revokedCount: number) =>
        context.log.info({ revokedCount, actorId: revoker.userId }, "sessions are being revoked by policy");
      const progress = { mayGoOn, onBatch };
      return new RevokeAllSessionsSuccess(await revokeByPolicy(context, revoker, policy, progress));
    },
  }),
  revokeAllSessions: t.field({
    type: RevokeAllSessionsResult,
    description:
      "Ends all sessions of a user: one's own, or anybody's for SUPPORT and ADMIN. All of one's own but the one that asks " +
      "only if that was authenticated recently; all with that one, always.",
    args: {
      userId: t.arg.id({ description: "Whose; one's own if nothing is said." }),
      exceptCurrent: t.arg.boolean({ description: "Whether the session that makes this request lives on." }),
    },
    resolve: async (_root, args, context) => {
      const revoker = revokerOf(context);
      const userId = (args.userId ?? revoker.userId).toLowerCase();
      const endsCurrent = userId === revoker.userId && !args.exceptCurrent;
      if (endsCurrent) context.outlivesLease = true;
      else if (userId === revoker.userId && !revoker.isRecent) throw reauthenticationRequired();
      const exceptSessionId = args.exceptCurrent ? revoker.sessionId : undefined;
      const revokedCount = await revokeAllSessions(context, revoker, { userId, exceptSessionId });
      if (revokedCount === undefined) return new NotFoundError("user");
      if (endsCurrent) clearOwnCookie(context);
      return new RevokeAllSessionsSuccess(revokedCount);
    },
  }),
}));
