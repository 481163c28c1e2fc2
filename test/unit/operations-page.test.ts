import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { createMetrics, type MetricSources } from "../../src/metrics.ts";

const DOCS = join(import.meta.dirname, "../../docs");
const read = (path: string) => readFile(join(DOCS, path), "utf8");

/** What a node shows of itself, by name. */
async function metricNames(): Promise<ReadonlySet<string>> {
  const metrics = createMetrics();
  const nobody = () => Promise.resolve([{ seconds: 0, usage: 0 }]);
  const prisma = {
    $queryRaw: nobody,
    outboxItem: { count: async () => 0 },
    eventReceiver: { count: async () => 0 },
  };
  metrics.observe({
    prisma: prisma as unknown as MetricSources["prisma"],
    stalenessMs: () => 0,
    isFresh: () => true,
    isTrusted: () => true,
    sockets: () => 0,
    sessions: () => ({ served: 0, online: 0 }),
    hashing: () => ({ running: 0, waiting: 0 }),
  });
  const { text } = await metrics.scrape();
  const names = [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].flatMap(([, name = "", type]) =>
    type === "histogram" ? [name, `${name}_bucket`] : [name],
  );
  return new Set(names);
}

describe("docs/operations", () => {
  test("ask only for metrics that there are, in alerts, in the dashboard and on the page, which has them all", async () => {
    const names = await metricNames();
    const [alerts, dashboard, page] = [
      await read("operations/alerts.yml"),
      await read("operations/grafana.json"),
      await read("operations.md"),
    ];
    for (const text of [alerts, dashboard, page]) {
      const asked = new Set(text.match(/\b(live_logout|nodejs|process)_[a-z0-9_]+[a-z0-9]\b/g));
      expect(asked.size).toBeGreaterThan(5);
      expect([...asked].filter((name) => !names.has(name))).toEqual([]);
    }
    const own = [...names].filter((name) => name.startsWith("live_logout_") && !name.endsWith("_bucket"));
    expect(own.filter((name) => !page.includes(name))).toEqual([]);
  });

  test("say of each alert what to do", async () => {
    const alerts = [...(await read("operations/alerts.yml")).matchAll(/- alert: (\w+)/g)].map(
      ([, name]) => name,
    );
    const page = await read("operations.md");
    expect(alerts.length).toBeGreaterThan(5);
    for (const alert of alerts) expect(page).toContain(`\n### ${alert}\n`);
  });
});
