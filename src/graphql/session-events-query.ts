import { type ResolveCursorConnectionArgs, resolveCursorConnection } from "@pothos/plugin-relay";
import { validate as isUuid } from "uuid";
import type { Prisma } from "../database/generated/client.ts";
import type { SessionEvent } from "../revocation/log.ts";
import { toSessionEvent } from "../sessions/history.ts";
import { builder } from "./builder.ts";
import type { Context } from "./context.ts";
import { badRequest } from "./errors.ts";
import { checkPageSize, DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE, TOTAL_COUNT } from "./paging.ts";
import { RevocationReasonEnum } from "./session.ts";
import { readableBy, SessionEventObject, SessionEventTypeEnum, toCursor } from "./session-event.ts";

const SessionEventFilterInput = builder.inputType("SessionEventFilter", {
  description: "Which events; everything that is given must fit.",
  fields: (t) => ({
    type: t.field({ type: SessionEventTypeEnum, description: "Of this type." }),
    reason: t.field({ type: RevocationReasonEnum, description: "Ends for this reason." }),
    sessionId: t.id({ description: "Of this session." }),
    actorId: t.id({ description: "Done by this user." }),
    from: t.field({ type: "DateTime", description: "At this moment or later." }),
    until: t.field({ type: "DateTime", description: "Before this moment." }),
  }),
});

builder.queryField("sessionEvents", (t) =>
  t.connection(
    {
      type: SessionEventObject,
      description: "The log, the newest first: one's own events, or anybody's for SUPPORT and ADMIN.",
      args: {
        userId: t.arg.id({ description: "Only those of this user." }),
        filter: t.arg({ type: SessionEventFilterInput, description: "Which of them." }),
      },
      resolve: async (_root, args, context) => {
        const { userId } = readableBy(context, args.userId);
        checkPageSize(args);
        const where = { AND: [userId === undefined ? {} : { userId }, matching(args.filter)] };
        const page = await resolveCursorConnection(
          { args, defaultSize: DEFAULT_PAGE_SIZE, maxSize: MAX_PAGE_SIZE, toCursor: (event) => event.id },
          (bounds: ResolveCursorConnectionArgs) => readEvents(context, where, bounds),
        );
        return { ...page, where };
      },
    },
    {
      name: "SessionEventConnection",
      description: "A page of the log.",
      fields: (connection) => ({
        totalCount: connection.int({
          description: TOTAL_COUNT,
          resolve: ({ where }: { readonly where?: Prisma.SessionEventWhereInput }, _args, context) =>
            context.prisma.sessionEvent.count({ where: where ?? {} }),
        }),
      }),
    },
    { name: "SessionEventEdge", description: "An event on a page." },
  ),
);

/** Throws `BAD_REQUEST`. */
function matching(
  filter: typeof SessionEventFilterInput.$inferInput | null | undefined,
): Prisma.SessionEventWhereInput {
  const where: Prisma.SessionEventWhereInput = {};
  for (const field of ["sessionId", "actorId"] as const) {
    const id = filter?.[field];
    if (id == null) continue;
    if (!isUuid(id)) throw badRequest([{ path: `filter.${field}`, message: "must be a UUID" }]);
    where[field] = id;
  }
  if (filter?.type) where.type = filter.type;
  // Only an end has a reason, also where the database names one in another event.
  if (filter?.reason) where.AND = { type: "SESSION_REVOKED", reason: filter.reason };
  if (filter?.from || filter?.until) {
    where.at = { ...(filter.from && { gte: filter.from }), ...(filter.until && { lt: filter.until }) };
  }
  return where;
}

/** One page; the connection has the newest first, so `after` means older. */
async function readEvents(
  { prisma }: Context,
  where: Prisma.SessionEventWhereInput,
  { before, after, limit, inverted }: ResolveCursorConnectionArgs,
): Promise<SessionEvent[]> {
  const bounds = [where];
  if (after !== undefined) bounds.push({ id: { lt: toCursor(after) } });
  if (before !== undefined) bounds.push({ id: { gt: toCursor(before) } });
  const rows = await prisma.sessionEvent.findMany({
    where: { AND: bounds },
    orderBy: { id: inverted ? "asc" : "desc" },
    take: limit,
  });
  return rows.map(toSessionEvent);
}
