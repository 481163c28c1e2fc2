import type { Node } from "../../src/main.ts";

/** What the node tells Prometheus, as text. It has to have been started with `METRICS_PORT`. */
export async function scrape({ metricsUrl }: Pick<Node, "metricsUrl">): Promise<string> {
  if (metricsUrl === undefined) throw new Error("this node has no port for metrics");
  return (await fetch(metricsUrl)).text();
}

/** The value of a metric as a scrape has it; undefined: it is not there. */
export function metricOf(text: string, name: string): number | undefined {
  const line = text.split("\n").find((line) => line.startsWith(`${name} `));
  return line === undefined ? undefined : Number(line.slice(name.length + 1));
}
