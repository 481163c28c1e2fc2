import { v7 as uuidv7 } from "uuid";
import { z } from "zod";
import type { EventReceiver, PrismaClient } from "../database/generated/client.ts";
import { createToken } from "../token.ts";
import { type Invalid, validate } from "../users/validation.ts";

type Maybe<T> = T | null | undefined;

export interface ReceiverInput {
  readonly audience: string;
  /** Where tokens are pushed; nothing: the receiver fetches them. */
  readonly url?: Maybe<string>;
  /** The Authorization header that it wants with them. */
  readonly authorization?: Maybe<string>;
}

/** What cannot be sent in a header. */
const HEADER_TEXT = /^[\x20-\x7e]*$/;

function inputSchema(isProduction: boolean) {
  return z
    .object({
      audience: z.string().trim().min(1, "A receiver has an audience.").max(200, "At most 200 characters."),
      url: z
        .string()
        .max(2_000, "At most 2000 characters.")
        .refine((text) => {
          const url = URL.parse(text);
          if (!url || url.username || url.password) return false;
          return url.protocol === "https:" || (!isProduction && url.protocol === "http:");
        }, "must be a URL that begins with https:// and holds no password")
        .nullish(),
      authorization: z
        .string()
        .max(2_000, "At most 2000 characters.")
        .regex(HEADER_TEXT, "must be what a header can hold")
        .nullish(),
    })
    .refine(({ url, authorization }) => url != null || authorization == null, {
      path: ["authorization"],
      message: "This goes with a url: whoever fetches is given a token instead.",
    });
}

/**
 * Registers a receiver, which is told of what happens from now on. One that fetches is given a token, which is part of the
 * answer and nowhere else.
 */
export async function createReceiver(
  { prisma, isProduction }: { readonly prisma: PrismaClient; readonly isProduction: boolean },
  input: ReceiverInput,
): Promise<
  { readonly kind: "created"; readonly receiver: EventReceiver; readonly token: string | undefined } | Invalid
> {
  const checked = validate(inputSchema(isProduction), input, "input");
  if (checked.kind === "invalid") return checked;
  const { audience, url = null, authorization = null } = checked.value;
  const secret = url === null ? createToken("receiver") : undefined;
  const { _max } = await prisma.sessionEvent.aggregate({ _max: { id: true } });
  const receiver = await prisma.eventReceiver.create({
    data: {
      id: uuidv7(),
      audience,
      url,
      authorization,
      tokenHash: secret?.tokenHash ?? null,
      cursor: _max.id ?? 0n,
    },
  });
  return { kind: "created", receiver, token: secret?.token };
}

export function listReceivers(prisma: PrismaClient): Promise<EventReceiver[]> {
  return prisma.eventReceiver.findMany({ orderBy: { id: "asc" } });
}

/** Whether there was one of this id. */
export async function deleteReceiver(prisma: PrismaClient, id: string): Promise<boolean> {
  return (await prisma.eventReceiver.deleteMany({ where: { id } })).count > 0;
}
