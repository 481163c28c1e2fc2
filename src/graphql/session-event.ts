import { type ResolveCursorConnectionArgs, resolveCursorConnection } from "@pothos/plugin-relay";
import type { GraphQLError } from "graphql";
import { validate as isUuid } from "uuid";
import type { Prisma, User } from "../database/generated/client.ts";
import type { EventFilter } from "../revocation/feed.ts";
import type { Lease } from "../revocation/lease.ts";
import type { SessionEvent } from "../revocation/log.ts";
import { toRevocationReason } from "../revocation/reasons.ts";
import { findCursor, toSessionEvent } from "../sessions/history.ts";
import { builder } from "./builder.ts";
import { type Context, requireLease, requireViewer } from "./context.ts";
import { badRequest, cursorExpired, forbidden } from "./errors.ts";
import { checkPageSize, MAX_PAGE_SIZE, TOTAL_COUNT } from "./paging.ts";
import { RevocationReasonEnum, SessionObject } from "./session.ts";
import { deletedUser, UserObject } from "./user.ts";

/** The greatest id that the database's column holds. */
const GREATEST_ID = 2n ** 63n - 1n;

const EVENT_TYPES = ["SESSION_CREATED", "SESSION_REVOKED", "SESSION_CHANGED"] as const;

const SessionEventTypeEnum = builder.enumType("SessionEventType", {
  description: "What happened to a session.",
  values: {
    SESSION_CREATED: { description: "Its user logged in." },
    SESSION_REVOKED: { description: "It ended." },
    SESSION_CHANGED: { description: "Its lifetime, its token or its user changed; it lives on." },
  } satisfies Record<(typeof EVENT_TYPES)[number], { description: string }>,
});

const SessionEventObject = builder.objectRef<SessionEvent>("SessionEvent").implement({
  description:
    "Something that happened to a session. The log of them is append-only, in the order of the commits.",
  fields: (t) => ({
    id: t.exposeID("id", {
      description: "A decimal number, rising. It is the cursor: give it back as `after`.",
    }),
    type: t.field({
      type: SessionEventTypeEnum,
      description: "What happened. A type that this version does not know reads as SESSION_CHANGED.",
      resolve: ({ type }) => EVENT_TYPES.find((known) => known === type) ?? "SESSION_CHANGED",
    }),
    at: t.expose("at", { type: "DateTime", description: "When, by the database's clock." }),
    sessionId: t.exposeID("sessionId", { description: "To which session." }),
    session: t.field({
      type: SessionObject,
      nullable: true,
      description: "The session as it is now. Null: its row was deleted.",
      resolve: (event, _args, { loaders }) => loaders.sessions.load(event.sessionId),
    }),
    user: t.field({
      type: UserObject,
      description: 'Whose session. A user who was deleted since has no email and is called "Deleted user".',
      resolve: async (event, _args, { loaders }) =>
        (await loaders.users.load(event.userId)) ?? deletedUser(event.userId),
    }),
    actor: t.field({
      type: UserObject,
      nullable: true,
      description:
        "Who did it. Null: the system, or a writer of the database who did not say. " +
        "The email of somebody else is shown to SUPPORT and ADMIN only.",
      resolve: async (event, _args, context) =>
        event.actorId === null ? null : shownTo(context, await loadUser(context, event.actorId)),
    }),
    reason: t.field({
      type: RevocationReasonEnum,
      nullable: true,
      description: "Why it ended. Null: it did not.",
      resolve: ({ type, reason }) => (type === "SESSION_REVOKED" ? toRevocationReason(reason) : null),
    }),
  }),
});

async function loadUser({ loaders }: Context, id: string): Promise<User> {
  return (await loaders.users.load(id)) ?? deletedUser(id);
}

/** A user learns who ended their session, but not the email that an administrator logs in with. */
function shownTo(context: Context, actor: User): User {
  const { user } = requireViewer(context);
  if (actor.id === user.id || context.roles.can(user.role, "readAnySessions")) return actor;
  return { ...actor, email: "" };
}

/** Whose events the viewer may read: by default all that they may. Throws `FORBIDDEN` and `BAD_REQUEST`. */
function readableBy(context: Context, userId: string | null | undefined): EventFilter {
  const { user } = requireViewer(context);
  const wanted = userId?.toLowerCase();
  if (context.roles.can(user.role, "readAnySessions")) {
    if (wanted != null && !isUuid(wanted)) throw badRequest([{ path: "userId", message: "must be a UUID" }]);
    return { userId: wanted };
  }
  if (wanted != null && wanted !== user.id) throw forbidden();
  return { userId: user.id };
}

function toCursor(after: string): bigint {
  const message = "must be the id of an event: a decimal number";
  if (!/^\d{1,40}$/.test(after)) throw badRequest([{ path: "after", message }]);
  return BigInt(after);
}

builder.queryField("sessionEvents", (t) =>
  t.connection(
    {
      type: SessionEventObject,
      description: "The log, the newest first: one's own events, or anybody's for SUPPORT and ADMIN.",
      args: { userId: t.arg.id({ description: "Only those of this user." }) },
      resolve: async (_root, args, context) => {
        const { userId } = readableBy(context, args.userId);
        checkPageSize(args);
        const where: Prisma.SessionEventWhereInput = userId === undefined ? {} : { userId };
        const page = await resolveCursorConnection(
          { args, defaultSize: 20, maxSize: MAX_PAGE_SIZE, toCursor: (event) => event.id },
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

/** One page; the connection has the newest first, so `after` means older. */
async function readEvents(
  { prisma }: Context,
  where: Prisma.SessionEventWhereInput,
  { before, after, limit, inverted }: ResolveCursorConnectionArgs,
): Promise<SessionEvent[]> {
  const bounds = [where];
  if (after !== undefined) bounds.push({ id: { lt: clamp(toCursor(after)) } });
  if (before !== undefined) bounds.push({ id: { gt: clamp(toCursor(before)) } });
  const rows = await prisma.sessionEvent.findMany({
    where: { AND: bounds },
    orderBy: { id: inverted ? "asc" : "desc" },
    take: limit,
  });
  return rows.map(toSessionEvent);
}

function clamp(cursor: bigint): bigint {
  return cursor > GREATEST_ID ? GREATEST_ID : cursor;
}

builder.subscriptionField("sessionEvents", (t) =>
  t.field({
    type: SessionEventObject,
    description:
      "The log as it grows, oldest first: one's own events, or anybody's for SUPPORT and ADMIN. With a cursor " +
      "first what came after it; fails with CURSOR_EXPIRED if the log does not reach back to it.",
    args: {
      after: t.arg.id({
        description: "The id of the last event that one knows; 0 for the beginning of the log.",
      }),
      userId: t.arg.id({ description: "Only those of this user." }),
    },
    subscribe: async (_root, args, context) => {
      const lease = requireLease(context);
      const filter = readableBy(context, args.userId);
      const cursor = args.after == null ? undefined : toCursor(args.after);
      if (cursor !== undefined) {
        const { isKnown, oldest } = await findCursor(context.prisma, clamp(cursor));
        if (!isKnown) throw cursorExpired(oldest);
      }
      lease.markConnected();
      return follow(context, lease, filter, cursor);
    },
    resolve: (told) => {
      if ("failure" in told) throw told.failure;
      return told;
    },
  }),
);

type Told = SessionEvent | { readonly failure: GraphQLError };

/**
 * The events, for as long as the viewer may read them: asked again for each, because an authority that was looked
 * at only when the subscription began would outlive the role that gave it.
 */
function follow(
  context: Context,
  lease: Lease,
  filter: EventFilter,
  cursor: bigint | undefined,
): AsyncIterableIterator<Told, undefined> {
  const done = { value: undefined, done: true } as const;
  const follower = context.feed.follow(filter, cursor);
  let isOver = false;

  function finish(): typeof done {
    isOver = true;
    follower.stop();
    return done;
  }
  function fail(failure: GraphQLError): IteratorResult<Told, undefined> {
    finish();
    return { value: { failure }, done: false };
  }

  return {
    [Symbol.asyncIterator]() {
      return this;
    },
    async next() {
      if (isOver) return done;
      const event = await follower.next();
      if (!event) return follower.isCursorLost() && !isOver ? fail(cursorExpired(null)) : finish();
      if (!(await context.directory.confirm(lease))) return finish();
      const { user } = lease.current;
      const isReadable = event.userId === user.id || context.roles.can(user.role, "readAnySessions");
      return isReadable ? { value: event, done: false } : fail(forbidden());
    },
    // A hand-written iterator because a generator that waits for an event cannot be returned from.
    async return() {
      return finish();
    },
  };
}
