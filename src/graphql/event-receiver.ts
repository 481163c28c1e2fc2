import { validate as isUuid } from "uuid";
import type { EventReceiver } from "../database/generated/client.ts";
import { createReceiver, deleteReceiver, listReceivers } from "../receivers/registry.ts";
import { builder } from "./builder.ts";
import { type Context, requireCapability, requireRecentAuthentication } from "./context.ts";
import { NotFound, NotFoundError, Validation, ValidationError } from "./results.ts";

const EventReceiverObject = builder.objectRef<EventReceiver>("EventReceiver").implement({
  description:
    "Another system that is told of revocations by security event tokens (RFC 8417, CAEP session-revoked), in the order of the " +
    "log and at least once.",
  fields: (t) => ({
    id: t.exposeID("id", { description: "A UUID." }),
    audience: t.exposeString("audience", { description: "The `aud` of its tokens." }),
    url: t.exposeString("url", {
      nullable: true,
      description: "Where tokens are pushed (RFC 8935). Null: it fetches them at /events/poll (RFC 8936).",
    }),
    cursor: t.id({
      description: "The id of the last event that it has got past.",
      resolve: ({ cursor }) => String(cursor),
    }),
    failures: t.exposeInt("failures", { description: "How often in a row it could not be reached." }),
    lastError: t.exposeString("lastError", {
      nullable: true,
      description: "What went wrong last. Null: nothing since it last took one.",
    }),
    deliveredAt: t.expose("deliveredAt", {
      type: "DateTime",
      nullable: true,
      description: "When it last took one. Null: never.",
    }),
    createdAt: t.expose("createdAt", { type: "DateTime", description: "When it was registered." }),
  }),
});

class CreateEventReceiverSuccess {
  readonly eventReceiver: EventReceiver;
  readonly token: string | undefined;
  constructor(eventReceiver: EventReceiver, token: string | undefined) {
    this.eventReceiver = eventReceiver;
    this.token = token;
  }
}

const CreateEventReceiverSuccessObject = builder.objectType(CreateEventReceiverSuccess, {
  name: "CreateEventReceiverSuccess",
  description: "The receiver is registered.",
  isTypeOf: (value) => value instanceof CreateEventReceiverSuccess,
  fields: (t) => ({
    eventReceiver: t.field({
      type: EventReceiverObject,
      description: "What was registered.",
      resolve: (success) => success.eventReceiver,
    }),
    token: t.string({
      nullable: true,
      description: "What it fetches with, shown this once. Null: it has a url.",
      resolve: (success) => success.token ?? null,
    }),
  }),
});

const CreateEventReceiverResult = builder.unionType("CreateEventReceiverResult", {
  description: "The receiver, or why there is none.",
  types: [CreateEventReceiverSuccessObject, Validation],
});

class DeleteEventReceiverSuccess {
  readonly id: string;
  constructor(id: string) {
    this.id = id;
  }
}

const DeleteEventReceiverSuccessObject = builder.objectType(DeleteEventReceiverSuccess, {
  name: "DeleteEventReceiverSuccess",
  description: "The receiver is told nothing any more.",
  isTypeOf: (value) => value instanceof DeleteEventReceiverSuccess,
  fields: (t) => ({ id: t.exposeID("id", { description: "Which." }) }),
});

const DeleteEventReceiverResult = builder.unionType("DeleteEventReceiverResult", {
  description: "That the receiver is gone, or why not.",
  types: [DeleteEventReceiverSuccessObject, NotFound],
});

const CreateEventReceiverInput = builder.inputType("CreateEventReceiverInput", {
  description: "A receiver to be registered.",
  fields: (t) => ({
    audience: t.string({
      required: true,
      description: "The `aud` of its tokens: usually the receiver's URL.",
    }),
    url: t.string({
      description:
        "Where tokens are pushed, https. Left out: it fetches them, with a token that the answer has.",
    }),
    authorization: t.string({
      description: "With a url: the Authorization header that the receiver wants, as in `Bearer ...`.",
    }),
  }),
});

builder.queryField("eventReceivers", (t) =>
  t.field({
    type: [EventReceiverObject],
    description: "The receivers of security event tokens, the oldest first. For ADMIN.",
    resolve: (_root, _args, context) => {
      requireCapability(context, "administerServices");
      return listReceivers(context.prisma);
    },
  }),
);

builder.mutationFields((t) => ({
  createEventReceiver: t.field({
    type: CreateEventReceiverResult,
    description:
      "Registers a receiver, which is told of what happens from now on. For ADMIN, recently authenticated.",
    args: { input: t.arg({ type: CreateEventReceiverInput, required: true, description: "What it is." }) },
    resolve: async (_root, { input }, context) => {
      requireAdministrator(context);
      const outcome = await createReceiver({ prisma: context.prisma, ...context.policies }, input);
      if (outcome.kind === "invalid") return new ValidationError(outcome);
      return new CreateEventReceiverSuccess(outcome.receiver, outcome.token);
    },
  }),
  deleteEventReceiver: t.field({
    type: DeleteEventReceiverResult,
    description: "Forgets a receiver, with what it was not told yet. For ADMIN, recently authenticated.",
    args: { id: t.arg.id({ required: true, description: "The receiver's id." }) },
    resolve: async (_root, { id }, context) => {
      requireAdministrator(context);
      const isDeleted = isUuid(id) && (await deleteReceiver(context.prisma, id));
      return isDeleted ? new DeleteEventReceiverSuccess(id) : new NotFoundError("receiver");
    },
  }),
}));

function requireAdministrator(context: Context): void {
  requireCapability(context, "administerServices");
  requireRecentAuthentication(context);
}
