import type { IncomingMessage, ServerResponse } from "node:http";
import { text } from "node:stream/consumers";
import type { Logger } from "pino";
import type { PrismaClient } from "../database/generated/client.ts";
import { bearerToken } from "../graphql/credentials.ts";
import { acknowledge, pendingTokens, pollSchema } from "../receivers/poll.ts";
import type { Signer } from "../sessions/signing-keys.ts";
import { hashToken } from "../token.ts";

const MAX_BODY_BYTES = 200_000;
/** How long a poll waits for something to tell, and how often it looks. */
const LONGEST_WAIT_MS = 20_000;
const LOOK_INTERVAL_MS = 500;

/** Where receivers fetch security event tokens: RFC 8936, by the bearer token that they were given. */
export function createEventPoll(rooms: {
  readonly prisma: PrismaClient;
  readonly signer: Signer;
  readonly log: Logger;
  /** Whether the node is about to stop: polls are not kept waiting then. */
  readonly isStopping: () => boolean;
}) {
  return async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    response.setHeader("cache-control", "no-store");
    if (request.method !== "POST") return void response.writeHead(405, { allow: "POST" }).end();
    const tokenHash = hashToken("receiver", bearerToken(request.headers.authorization ?? ""));
    const found = tokenHash && (await rooms.prisma.eventReceiver.findUnique({ where: { tokenHash } }));
    if (!found) return refuse(response, 401, "authentication_failed", "Send the token that you were given.");
    if (Number(request.headers["content-length"] ?? Number.POSITIVE_INFINITY) > MAX_BODY_BYTES) {
      return refuse(
        response,
        400,
        "invalid_request",
        `Send at most ${MAX_BODY_BYTES} bytes, with content-length.`,
      );
    }
    const poll = pollSchema.safeParse(parse(await text(request)));
    if (!poll.success)
      return refuse(response, 400, "invalid_request", "Send a poll as RFC 8936 describes it.");

    const receiver = await acknowledge(rooms, found, poll.data);
    const deadline = performance.now() + (poll.data.returnImmediately ? 0 : LONGEST_WAIT_MS);
    for (;;) {
      const answer = await pendingTokens(rooms, receiver, poll.data);
      const isWorthTelling = Object.keys(answer.sets).length > 0 || poll.data.maxEvents === 0;
      if (isWorthTelling || performance.now() >= deadline || rooms.isStopping() || response.destroyed) {
        response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(answer));
        return;
      }
      await new Promise((resolve) => setTimeout(resolve, LOOK_INTERVAL_MS));
    }
  };
}

function parse(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}

function refuse(response: ServerResponse, status: number, err: string, description: string): void {
  response
    .writeHead(status, { "content-type": "application/json", connection: "close" })
    .end(JSON.stringify({ err, description }));
}
