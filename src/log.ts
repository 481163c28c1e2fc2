import { AsyncLocalStorage } from "node:async_hooks";
import { type DestinationStream, type Level, type Logger, pino } from "pino";

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
