import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { LogoutDocument, ViewerDocument } from "../../src/client/generated/graphql.ts";
import { logIn, signUp } from "../kit/client.ts";
import { DATABASES } from "../kit/databases.ts";
import { eventually } from "../kit/deadline.ts";
import { metricOf, scrape } from "../kit/metrics.ts";
import { startTestNode, type TestNode } from "../kit/node.ts";
import { subscribeByWebSocket } from "../kit/subscriber.ts";

describe.each(DATABASES)("metrics on the %s database", (kind) => {
  let node: TestNode;
  beforeAll(async () => {
    node = await startTestNode(kind, { settings: { METRICS_PORT: "0" } });
  });
  afterAll(() => node.stop());

  test("count logins, resolutions from memory, revocations and sockets", async () => {
    const user = await signUp(node.url);
    const before = await scrape(node);
    const session = await logIn(node.url, user);
    await expect(logIn(node.url, { ...user, password: "wrong password" })).rejects.toThrow();
    for (let count = 0; count < 10; count++) await session.run(ViewerDocument);
    const subscriber = await subscribeByWebSocket(node.url, user.token);
    const during = await scrape(node);
    const risen = (name: string, from = before, to = during) =>
      (metricOf(to, name) ?? 0) - (metricOf(from, name) ?? 0);
    expect(risen('live_logout_logins_total{outcome="started"}')).toBe(1);
    expect(risen('live_logout_logins_total{outcome="invalidCredentials"}')).toBe(1);
    expect(risen("live_logout_session_resolutions_total")).toBe(11);
    expect(risen("live_logout_session_loads_total")).toBeLessThanOrEqual(2);
    expect(risen("live_logout_sockets")).toBe(1);
    expect(metricOf(during, "live_logout_sessions_online")).toBe(1);
    expect(metricOf(during, "live_logout_fresh")).toBe(1);
    expect(metricOf(during, "live_logout_trusted")).toBe(1);
    expect(metricOf(during, "live_logout_log_staleness_seconds")).toBeLessThan(10);
    expect(metricOf(during, "live_logout_hashes_waiting")).toBe(0);
    expect(metricOf(during, "nodejs_eventloop_lag_p99_seconds")).toBeGreaterThanOrEqual(0);

    await user.run(LogoutDocument);
    await subscriber.closed;
    const after = await scrape(node);
    expect(risen("live_logout_revocation_latency_seconds_count", during, after)).toBe(1);
    expect(risen('live_logout_events_total{type="SESSION_REVOKED"}', during, after)).toBe(1);
    await eventually(
      "the socket is gone",
      async () => metricOf(await scrape(node), "live_logout_sockets") === 0,
    );
  });

  test("hold no secret, no name and no address", async () => {
    const user = await signUp(node.url);
    const text = await scrape(node);
    for (const secret of [user.token, user.email, user.userId, user.sessionId, "127.0.0.1"]) {
      expect(text).not.toContain(secret);
    }
  });

  test("on the service's own port are for whoever has the token, and not there for others", async () => {
    const token = "a-token-for-prometheus";
    const guarded = await startTestNode(kind, { settings: { METRICS_TOKEN: token } });
    onTestFinished(() => guarded.stop());
    const ask = (authorization: string, url = guarded.url) =>
      fetch(`${url}/metrics`, { headers: authorization ? { authorization } : {} });
    for (const wrong of ["", "Bearer wrong", `Basic ${token}`]) expect((await ask(wrong)).status).toBe(404);
    const answer = await ask(`Bearer ${token}`);
    expect(answer.status).toBe(200);
    expect(metricOf(await answer.text(), "live_logout_sessions_served")).toBe(0);
    // Without the setting there are none, and whoever guesses finds out nothing.
    expect((await ask(`Bearer ${token}`, node.url)).status).toBe(404);
  });
});

test("metrics tell while the database does not answer, without what only it knows", async () => {
  const node = await startTestNode("postgres", { settings: { METRICS_PORT: "0" } });
  onTestFinished(() => node.stop());
  expect(metricOf(await scrape(node), "live_logout_mails_waiting")).toBeGreaterThanOrEqual(0);
  expect(metricOf(await scrape(node), "live_logout_log_lock_wait_seconds")).toBe(0);
  const broken = await startTestNode("postgres", {
    settings: { METRICS_PORT: "0" },
    wrapDatabase: (database) => ({
      ...database,
      prisma: new Proxy(database.prisma, {
        get: (prisma, name) =>
          name === "outboxItem"
            ? { count: () => Promise.reject(new Error("no database")) }
            : Reflect.get(prisma, name),
      }),
    }),
  });
  onTestFinished(() => broken.stop());
  const text = await (await fetch(broken.metricsUrl ?? "")).text();
  expect(metricOf(text, "live_logout_mails_waiting")).toBeUndefined();
  expect(metricOf(text, "live_logout_trusted")).toBe(1);
});
