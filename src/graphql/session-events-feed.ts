import type { GraphQLError } from "graphql";
import type { EventFilter } from "../revocation/feed.ts";
import type { Lease } from "../revocation/lease.ts";
import type { SessionEvent } from "../revocation/log.ts";
import { findCursor } from "../sessions/history.ts";
import { builder } from "./builder.ts";
import { type Context, mayReadAnyEvents, requireLease } from "./context.ts";
import { cursorExpired, forbidden } from "./errors.ts";
import { readableBy, SessionEventObject, toCursor } from "./session-event.ts";

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
        const { isKnown, oldest } = await findCursor(context.prisma, cursor);
        if (!isKnown) throw cursorExpired(oldest);
      } else {
        // What was committed before is no news, also where this node has not read it yet.
        await context.catchUp();
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
      const isReadable = event.userId === lease.current.user.id || mayReadAnyEvents(context, lease.current);
      return isReadable ? { value: event, done: false } : fail(forbidden());
    },
    // A hand-written iterator because a generator that waits for an event cannot be returned from.
    async return() {
      return finish();
    },
  };
}
