import { expect, onTestFinished, test } from "vitest";
import { ViewerDocument } from "../../src/client/generated/graphql.ts";
import { signUp } from "../kit/client.ts";
import { createTestDatabase } from "../kit/databases.ts";
import { eventually, within } from "../kit/deadline.ts";
import { startTestNode } from "../kit/node.ts";
import { subscribeByWebSocket } from "../kit/subscriber.ts";
import { startTcpProxy } from "../kit/tcp-proxy.ts";

test("a node whose database has gone silent answers nobody from memory past the bound, says so, and heals (P3)", async () => {
  const database = await createTestDatabase("postgres");
  onTestFinished(() => database.remove());
  const url = new URL(database.settings["DATABASE_URL"] ?? "");
  const path = await startTcpProxy(Number(url.port));
  onTestFinished(() => path.close());
  url.port = String(path.port);
  const node = await startTestNode("postgres", {
    on: { ...database, settings: { ...database.settings, DATABASE_URL: url.href } },
    settings: { REVOCATION_BOUND_MS: "2000" },
  });
  onTestFinished(() => node.stop());
  const user = await signUp(node.url);
  const subscriber = await subscribeByWebSocket(node.url, user.token);

  path.set("silent");
  // Within the bound memory may answer.
  expect((await user.run(ViewerDocument)).data?.viewer?.id).toBe(user.userId);
  expect(await within(10_000, "the close", subscriber.closed)).toMatchObject({ code: 1013 });
  expect((await fetch(`${node.url}/readyz`)).status).toBe(503);
  const refused = await within(15_000, "an answer, in the end", user.run(ViewerDocument));
  expect(refused).toMatchObject({ status: 503, errors: [{ extensions: { code: "SERVICE_UNAVAILABLE" } }] });

  path.set("open");
  const isServed = async () => (await user.run(ViewerDocument)).data?.viewer?.id === user.userId;
  await eventually("the node serves again", isServed, 20_000);
}, 60_000);
