import { timingSafeEqual } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { bearerToken } from "../graphql/credentials.ts";
import type { Metrics } from "../metrics.ts";
import { type Listening, listen } from "./listen.ts";

/** Answers a scrape on the service's own port, to whoever has the token. */
export function createMetricsRoute(metrics: Metrics, token: string | undefined) {
  return async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    if (token === undefined || !isSame(bearerToken(request.headers.authorization ?? ""), token)) {
      // Not even that there are metrics is told to others.
      return void response
        .writeHead(404, { "content-type": "text/plain; charset=utf-8" })
        .end("There is nothing here. GraphQL is at /graphql.\n");
    }
    await answer(metrics, response);
  };
}

/** A server of its own for scrapes, on a port that only the monitoring reaches. Throws `OperatorError`. */
export async function startMetricsServer(
  metrics: Metrics,
  place: { readonly host: string; readonly port: number },
): Promise<Listening & { readonly close: () => Promise<void> }> {
  const server = createServer((request, response) => {
    if (request.url !== "/metrics") return void response.writeHead(404).end();
    answer(metrics, response).catch(() => response.destroy());
  });
  const listening = await listen(server, place, "METRICS_HOST and METRICS_PORT");
  return {
    ...listening,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function answer(metrics: Metrics, response: ServerResponse): Promise<void> {
  const { contentType, text } = await metrics.scrape();
  response.writeHead(200, { "content-type": contentType, "cache-control": "no-store" }).end(text);
}

function isSame(given: string, expected: string): boolean {
  const [left, right] = [Buffer.from(given), Buffer.from(expected)];
  return left.length === right.length && timingSafeEqual(left, right);
}
