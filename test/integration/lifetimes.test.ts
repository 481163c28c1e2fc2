import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createTestClient, logIn, signUp } from "../kit/client.ts";
import { DATABASES } from "../kit/databases.ts";
import { within } from "../kit/deadline.ts";
import { startTestNode, type TestNode } from "../kit/node.ts";
import { subscribeByWebSocket } from "../kit/subscriber.ts";

describe.each(DATABASES)("how many sessions a user has and how long, on the %s database", (kind) => {
  let node: TestNode;
  beforeAll(async () => {
    const settings = { SESSIONS_PER_USER: "3", SESSION_TTL: "2h", SESSION_REMEMBERED_TTL: "60d" };
    node = await startTestNode(kind, { settings });
  });
  afterAll(() => node.stop());

  test("the oldest session makes room for a new one, and its client is told", async () => {
    const oldest = await signUp(node.url);
    const subscriber = await subscribeByWebSocket(node.url, oldest.token);
    const others = [await logIn(node.url, oldest), await logIn(node.url, oldest)];
    expect(subscriber.events).toEqual([]);
    const newest = await logIn(node.url, oldest);
    expect(await subscriber.next()).toMatchObject({ reason: "SESSION_LIMIT", current: true });
    expect(await within(5_000, "the close", subscriber.closed)).toMatchObject({ code: 4401 });
    const rows = await node.sql(
      "SELECT id FROM sessions WHERE user_id = $1 AND revoked_at IS NULL ORDER BY created_at",
      [oldest.userId],
    );
    expect(rows.map((row) => row["id"])).toEqual([...others, newest].map(({ sessionId }) => sessionId));
  });

  test("logins at the same time do not get past the limit", async () => {
    const user = await signUp(node.url);
    await Promise.all(Array.from({ length: 6 }, () => logIn(node.url, user)));
    const rows = await node.sql(
      `SELECT count(*) FILTER (WHERE revoked_at IS NULL)::int AS live,
              count(*) FILTER (WHERE revocation_reason = 'SESSION_LIMIT')::int AS ended
       FROM sessions WHERE user_id = $1`,
      [user.userId],
    );
    expect(rows).toEqual([{ live: 3, ended: 4 }]);
  });

  test.each([
    [false, 2 / 24],
    [true, 60],
  ])("with remember: %s a session lives for %d days", async (remember, days) => {
    const user = await signUp(node.url);
    const { data } = await createTestClient(node.url).run<
      { login: { session: { createdAt: string; expiresAt: string } } },
      unknown
    >(
      `mutation { login(input: { email: "${user.email}", password: "${user.password}", remember: ${remember},
        returnToken: true }) { ... on LoginSuccess { session { createdAt expiresAt } } } }`,
    );
    const { createdAt = "", expiresAt = "" } = data?.login.session ?? {};
    const livesForMs = Date.parse(expiresAt) - Date.parse(createdAt);
    expect(Math.abs(livesForMs / 86_400_000 - days)).toBeLessThan(0.01);
  });
});
