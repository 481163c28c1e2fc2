import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { logIn, signUp } from "../kit/client.ts";
import { ADMIN, startTestNode, type TestNode } from "../kit/node.ts";
import { createService } from "../kit/services.ts";

describe("a proxy that asks whether to let a request through", () => {
  let node: TestNode;
  beforeAll(async () => {
    node = await startTestNode("postgres");
  });
  afterAll(() => node.stop());
  const ask = (headers: Record<string, string>, url = node.url) => fetch(`${url}/auth/verify`, { headers });

  test("is told who it is, by cookie or by bearer token", async () => {
    const user = await signUp(node.url);
    for (const headers of [{ cookie: `session=${user.token}` }, { authorization: `Bearer ${user.token}` }]) {
      const answer = await ask(headers);
      expect(answer.status).toBe(200);
      expect(answer.headers.get("x-auth-user-id")).toBe(user.userId);
      expect(answer.headers.get("x-auth-role")).toBe("USER");
      expect(answer.headers.get("x-auth-session-id")).toBe(user.sessionId);
      expect(answer.headers.get("cache-control")).toBe("no-store");
    }
  });

  test("is refused for nobody, for garbage, for a service account, and at once for an ended session, with the reason", async () => {
    expect((await ask({})).status).toBe(401);
    expect((await ask({ cookie: "session=garbage" })).status).toBe(401);
    const service = await createService(node.url, ["EVENTS_READ"]);
    expect((await ask({ authorization: `Bearer ${service.token}` })).status).toBe(401);
    const user = await signUp(node.url);
    expect((await ask({ cookie: `session=${user.token}` })).status).toBe(200);
    const admin = await logIn(node.url, ADMIN);
    await admin.run(`mutation { revokeAllSessions(userId: "${user.userId}") { __typename } }`);
    const answer = await ask({ cookie: `session=${user.token}` });
    expect(answer.status).toBe(401);
    expect(answer.headers.get("x-auth-reason")).toBe("REVOKED_BY_ADMIN");
    expect(answer.headers.get("x-auth-user-id")).toBeNull();
  });

  test("is answered with 503 while the node cannot say it", async () => {
    const broken = await startTestNode("postgres", {
      wrapDirectory: (directory) => ({
        ...directory,
        resolve: () => Promise.reject(new Error("no database")),
      }),
    });
    onTestFinished(() => broken.stop());
    const { token } = await signUp(node.url);
    const answer = await ask({ cookie: `session=${token}` }, broken.url);
    expect(answer.status).toBe(503);
    expect(await answer.text()).toBe("");
  });
});
