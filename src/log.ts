import { AsyncLocalStorage } from "node:async_hooks";
import { randomUUID } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { type DestinationStream, type Level, type Logger, pino } from "pino";
import { isFromProxy, type OriginConfig } from "./http/request-origin.ts";

const requestIds = new AsyncLocalStorage<string>();

/** The node's own log: JSON lines on standard error, each with the id of the request that it is about, if there is one. */
export function createLog(
  level: Level | "silent",
  destination: DestinationStream = pino.destination(2),
): Logger {
  return pino(
    {
      level,
      mixin() {
        const requestId = requestIds.getStore();
        return requestId === undefined ? {} : { requestId };
      },
    },
    destination,
  );
}

/** Whatever `work` logs, now or later, carries this id. */
export function withRequestId<T>(requestId: string, work: () => T): T {
  return requestIds.run(requestId, work);
}

/** The id of a request: the one that our proxy gave it, so that both logs have the same, or a new one. */
export function requestIdOf(request: IncomingMessage, config: OriginConfig): string {
  const given = request.headers["x-request-id"];
  // Anybody else's could be made to look like another request, or like another line.
  const isUsable =
    typeof given === "string" && /^[\w.:-]{1,100}$/.test(given) && isFromProxy(request, config);
  return isUsable ? given : randomUUID();
}
