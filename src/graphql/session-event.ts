import { validate as isUuid } from "uuid";
import type { User } from "../database/generated/client.ts";
import type { EventFilter } from "../revocation/feed.ts";
import type { SessionEvent } from "../revocation/log.ts";
import { toRevocationReason } from "../revocation/reasons.ts";
import { builder } from "./builder.ts";
import { type Context, mayReadAnyEvents, requireLease, requireViewer } from "./context.ts";
import { badRequest, forbidden } from "./errors.ts";
import { RevocationReasonEnum, SessionObject } from "./session.ts";
import { deletedUser, UserObject } from "./user.ts";

/** The greatest id that the database's column holds. */
const GREATEST_ID = 2n ** 63n - 1n;

const EVENT_TYPES = ["SESSION_CREATED", "SESSION_REVOKED", "SESSION_CHANGED"] as const;

export const SessionEventTypeEnum = builder.enumType("SessionEventType", {
  description: "What happened to a session.",
  values: {
    SESSION_CREATED: { description: "Its user logged in." },
    SESSION_REVOKED: { description: "It ended." },
    SESSION_CHANGED: { description: "Its lifetime, its token or its user changed; it lives on." },
  } satisfies Record<(typeof EVENT_TYPES)[number], { description: string }>,
});

export const SessionEventObject = builder.objectRef<SessionEvent>("SessionEvent").implement({
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
  const viewer = requireLease(context).current;
  if (actor.id === viewer.user.id || mayReadAnyEvents(context, viewer)) return actor;
  return { ...actor, email: "" };
}

/** Whose events the viewer may read: by default all that they may. Throws `FORBIDDEN` and `BAD_REQUEST`. */
export function readableBy(context: Context, userId: string | null | undefined): EventFilter {
  const viewer = requireLease(context).current;
  const wanted = userId?.toLowerCase();
  if (mayReadAnyEvents(context, viewer)) {
    if (wanted != null && !isUuid(wanted)) throw badRequest([{ path: "userId", message: "must be a UUID" }]);
    return { userId: wanted };
  }
  const { user } = requireViewer(context);
  if (wanted != null && wanted !== user.id) throw forbidden();
  return { userId: user.id };
}

/** The id of an event as a cursor; what is greater than any id stands after all. Throws `BAD_REQUEST`. */
export function toCursor(after: string): bigint {
  const message = "must be the id of an event: a decimal number";
  if (!/^\d{1,40}$/.test(after)) throw badRequest([{ path: "after", message }]);
  const cursor = BigInt(after);
  return cursor > GREATEST_ID ? GREATEST_ID : cursor;
}
