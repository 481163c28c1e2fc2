import autocannon from "autocannon";
import type { Load, LoadResult } from "../kit/load.ts";
import { offer } from "../kit/offer.ts";

// A process that sends requests as fast as they are answered, or so many per second.

async function run(load: Load): Promise<LoadResult> {
  const { url, seconds, connections, method, headers, bodies = [], perSecond, sign } = load;
  const requests = Array.from({ length: Math.max(headers.length, bodies.length) }, (_, index) => ({
    method,
    headers: headers[index % headers.length] ?? {},
    ...(bodies.length > 0 ? { body: bodies[index % bodies.length] ?? "" } : {}),
  }));
  let unexpected = "";
  let opened = 0;
  const result = await autocannon({
    url,
    duration: seconds,
    connections,
    requests,
    // Each connection begins elsewhere: the same person does not do everything at once.
    setupClient(client) {
      const first = Math.floor((opened * requests.length) / connections) % requests.length;
      opened += 1;
      client.setRequests([...requests.slice(first), ...requests.slice(0, first)]);
    },
    verifyBody(body) {
      const isRight = String(body).includes(sign);
      if (!isRight) unexpected = String(body).slice(0, 300);
      return isRight;
    },
    ...(perSecond ? { overallRate: perSecond } : {}),
  });
  const failures = result.non2xx + result.errors + result.timeouts + result.mismatches;
  if (failures > 0) throw new Error(`${failures} requests failed: ${unexpected}`);
  return {
    perSecond: result["2xx"] / result.duration,
    p50: result.latency.p50,
    p99: result.latency.p99,
  };
}

offer("", { run });
