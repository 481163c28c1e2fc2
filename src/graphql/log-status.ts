import { builder } from "./builder.ts";
import { type LogStatus, mayReadAnyEvents, requireLease } from "./context.ts";
import { forbidden } from "./errors.ts";

const LogStatusObject = builder.objectRef<LogStatus>("LogStatus").implement({
  description: "How far the node that answers has read the log.",
  fields: (t) => ({
    head: t.exposeID("head", { description: "The id of the newest event that it has applied." }),
    stalenessMs: t.exposeFloat("stalenessMs", {
      description:
        "How long ago it began to read the log as it knows it, in milliseconds. A healthy node: below 1 100.",
    }),
  }),
});

builder.queryField("logStatus", (t) =>
  t.field({
    type: LogStatusObject,
    description:
      "For followers of `sessionEvents` who must know that silence means that nothing happened. For SUPPORT and ADMIN, and " +
      "service accounts with EVENTS_READ.",
    resolve: (_root, _args, context) => {
      if (!mayReadAnyEvents(context, requireLease(context).current)) throw forbidden();
      return context.logStatus();
    },
  }),
);
