import type { RevocationReason } from "../revocation/reasons.ts";
import { readStatistics, type StatisticsInterval } from "../sessions/statistics.ts";
import { SERVICE_ROLE } from "../users/roles.ts";
import { builder } from "./builder.ts";
import { requireCapability } from "./context.ts";
import { badRequest } from "./errors.ts";
import { RevocationReasonEnum } from "./session.ts";

const MAX_INTERVALS = 200;
const DAY_MS = 86_400_000;

interface Statistics {
  readonly intervals: readonly StatisticsInterval[];
}

const RevocationCountObject = builder
  .objectRef<{ readonly reason: RevocationReason; readonly count: number }>("RevocationCount")
  .implement({
    description: "How many sessions were revoked for one reason.",
    fields: (t) => ({
      reason: t.expose("reason", { type: RevocationReasonEnum, description: "Why." }),
      count: t.exposeInt("count", { description: "How many." }),
    }),
  });

const StatisticsIntervalObject = builder.objectRef<StatisticsInterval>("StatisticsInterval").implement({
  description: "A stretch of time.",
  fields: (t) => ({
    start: t.expose("start", {
      type: "DateTime",
      description: "When it began; it ends where the next begins.",
    }),
    activeSessions: t.exposeInt("activeSessions", {
      description: "How many sessions there were when it began. Right as far back as the log is kept.",
    }),
    signIns: t.exposeInt("signIns", { description: "How many sessions began." }),
    revocations: t.field({
      type: [RevocationCountObject],
      description: "How many sessions ended, by reason; those that had none are left out.",
      resolve: ({ revocations }) => [...revocations].map(([reason, count]) => ({ reason, count })),
    }),
  }),
});

const StatisticsObject = builder.objectRef<Statistics>("Statistics").implement({
  description: "What is going on, in numbers.",
  fields: (t) => ({
    activeSessions: t.int({
      description: "How many sessions there are now, revoked ones aside.",
      resolve: (_statistics, _args, { prisma }) => prisma.session.count({ where: { revokedAt: null } }),
    }),
    connectedSessions: t.int({
      description: "How many sessions hold an open live connection, on the node that answers.",
      resolve: (_statistics, _args, { directory }) => directory.countOnline(),
    }),
    users: t.int({
      description: "How many users there are who may log in.",
      resolve: (_statistics, _args, { prisma }) =>
        prisma.user.count({ where: { status: "ACTIVE", role: { not: SERVICE_ROLE } } }),
    }),
    intervals: t.field({
      type: [StatisticsIntervalObject],
      description: "The time that was asked for, the oldest interval first.",
      resolve: ({ intervals }) => intervals,
    }),
  }),
});

builder.queryField("statistics", (t) =>
  t.field({
    type: StatisticsObject,
    description: "Sessions, sign-ins and revocations over time. For SUPPORT and ADMIN.",
    args: {
      from: t.arg({ type: "DateTime", description: "From when; a day before `until` if nothing is said." }),
      until: t.arg({ type: "DateTime", description: "Until when; now if nothing is said." }),
      intervals: t.arg.int({
        description: `How many intervals the time is divided in: 1 to ${MAX_INTERVALS}, 24 if nothing is said.`,
      }),
    },
    resolve: async (_root, args, context) => {
      requireCapability(context, "readAnySessions");
      const until = args.until ?? new Date(context.now());
      const from = args.from ?? new Date(until.getTime() - DAY_MS);
      const intervals = args.intervals ?? 24;
      if (from >= until) throw badRequest([{ path: "from", message: "must be before `until`" }]);
      if (intervals < 1 || intervals > MAX_INTERVALS) {
        throw badRequest([{ path: "intervals", message: `must be from 1 to ${MAX_INTERVALS}` }]);
      }
      return { intervals: await readStatistics(context.prisma, { from, until, intervals }) };
    },
  }),
);
