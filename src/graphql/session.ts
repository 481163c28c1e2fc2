import { validate as isUuid } from "uuid";
import type { Prisma, Session } from "../database/generated/client.ts";
import { messageFor, REVOCATION_REASONS, toRevocationReason } from "../revocation/reasons.ts";
import { activeSessions, sessionsMatching } from "../sessions/active.ts";
import { deviceName } from "../sessions/device.ts";
import { builder } from "./builder.ts";
import { type Context, requireCapability, requireViewer } from "./context.ts";
import { badRequest } from "./errors.ts";
import { checkPageSize, checkText, MAX_PAGE_SIZE, TOTAL_COUNT } from "./paging.ts";
import { RoleEnum } from "./user.ts";

export const RevocationReasonEnum = builder.enumType("RevocationReason", {
  description: "Why a session was revoked.",
  values: Object.fromEntries(
    REVOCATION_REASONS.map((reason) => [reason, { description: `"${messageFor(reason)}"` }]),
  ) as Record<(typeof REVOCATION_REASONS)[number], { description: string }>,
});

export const SessionObject = builder.prismaObject("Session", {
  description: "One login of one user on one device. It ends by being revoked, for good.",
  fields: (t) => ({
    id: t.exposeID("id", { description: "A UUID. Knowing it gives no rights." }),
    user: t.relation("user", { description: "Whose session it is." }),
    current: t.boolean({
      description: "Whether this is the session that makes this request.",
      resolve: (session, _args, { credentials }) =>
        credentials.kind === "live" && credentials.lease.current.session.id === session.id,
    }),
    createdAt: t.expose("createdAt", { type: "DateTime", description: "When they logged in." }),
    lastSeenAt: t.expose("lastSeenAt", {
      type: "DateTime",
      description: "When it was last used, to the minute. An open socket is not use.",
    }),
    expiresAt: t.expose("expiresAt", {
      type: "DateTime",
      description: "When it ends, however much it is used.",
    }),
    ipAddress: t.exposeString("ipAddress", { nullable: true, description: "From where they logged in." }),
    userAgent: t.exposeString("userAgent", { nullable: true, description: "What the client says it is." }),
    device: t.string({
      description: 'The user agent for people: "Chrome on macOS".',
      resolve: (session) => deviceName(session.userAgent),
    }),
    online: t.boolean({
      description: "Whether it holds an open live connection, on the node that answers.",
      resolve: (session, _args, context) => context.directory.isOnline(session.id),
    }),
    revokedAt: t.expose("revokedAt", {
      type: "DateTime",
      nullable: true,
      description: "When it was revoked. Null: it was not.",
    }),
    revocationReason: t.field({
      type: RevocationReasonEnum,
      nullable: true,
      description: "Why it was revoked. Null: it was not.",
      resolve: (session) => (session.revokedAt ? toRevocationReason(session.revocationReason) : null),
    }),
  }),
});

export const SessionFilterInput = builder.inputType("SessionFilter", {
  description: "Which sessions; everything that is given must fit.",
  fields: (t) => ({
    userId: t.id({ description: "Of this user." }),
    role: t.field({ type: RoleEnum, description: "Of users of this role." }),
    createdBefore: t.field({ type: "DateTime", description: "Begun before this moment." }),
    lastSeenBefore: t.field({ type: "DateTime", description: "Not used since this moment." }),
    ipAddress: t.string({ description: "Begun from this address." }),
  }),
});

builder.queryFields((t) => ({
  currentSession: t.field({
    type: SessionObject,
    nullable: true,
    description:
      "The session that makes this request. Null: not logged in. An ended one fails with its reason.",
    resolve: (_root, _args, context) => {
      const { credentials } = context;
      if (credentials.kind === "anonymous") return null;
      return requireViewer(context).session;
    },
  }),
  mySessions: t.prismaField({
    type: ["Session"],
    description: "The viewer's active sessions: the current one first, then by last seen.",
    resolve: async (query, _root, _args, context) => {
      const viewer = requireViewer(context);
      const sessions: Session[] = await context.prisma.session.findMany({
        ...query,
        where: { userId: viewer.user.id, ...activeSessions(context.now(), context.rules) },
        orderBy: [{ lastSeenAt: "desc" }, { id: "desc" }],
      });
      const isCurrent = (session: Session) => session.id === viewer.session.id;
      return [...sessions.filter(isCurrent), ...sessions.filter((session) => !isCurrent(session))];
    },
  }),
  sessions: t.prismaConnection(
    {
      type: "Session",
      cursor: "id",
      maxSize: MAX_PAGE_SIZE,
      description: "Everybody's active sessions, the newest first. For SUPPORT and ADMIN.",
      args: { filter: t.arg({ type: SessionFilterInput, description: "Which of them." }) },
      resolve: (query, _root, args, context) => {
        requireCapability(context, "readAnySessions");
        checkPageSize(args);
        const where = matching(args.filter, context);
        return context.prisma.session.findMany({ ...query, where, orderBy: { id: "desc" } });
      },
    },
    {
      name: "SessionConnection",
      description: "A page of sessions.",
      fields: (connection) => ({
        totalCount: connection.int({
          description: TOTAL_COUNT,
          resolve: ({ args }, _args, context) =>
            context.prisma.session.count({ where: matching(args.filter, context) }),
        }),
      }),
    },
    { name: "SessionEdge", description: "A session on a page." },
  ),
}));

/** The active sessions that fit a filter. Throws `BAD_REQUEST`. */
export function matching(
  filter: typeof SessionFilterInput.$inferInput | null | undefined,
  context: Context,
): Prisma.SessionWhereInput {
  const { userId, ipAddress } = filter ?? {};
  if (userId != null && !isUuid(userId))
    throw badRequest([{ path: "filter.userId", message: "must be a UUID" }]);
  if (ipAddress != null) checkText(ipAddress, "filter.ipAddress");
  return sessionsMatching(filter ?? {}, context.now(), context.rules);
}
