import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import process from "node:process";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import type { SessionClient, SignOutCause } from "../../src/client/core.ts";
import { bundle } from "../kit/bundle.ts";
import { hasNoChromium, launchChromium } from "../kit/chromium.ts";
import { logIn, signUp, type TestUser } from "../kit/client.ts";
import { eventually } from "../kit/deadline.ts";
import { ADMIN, startTestNode, type TestNode } from "../kit/node.ts";
import { startTcpProxy, type TcpProxy } from "../kit/tcp-proxy.ts";

/** A page of an app: it makes a client and writes down what that tells. `URL` stands for the service. */
const APP = `<!doctype html><html lang="en"><title>An app</title><p id="status"></p><script type="module">
import { createSessionClient } from "/sdk.js";
const client = createSessionClient({ url: "URL/graphql" });
const show = () => { document.getElementById("status").textContent = JSON.stringify(client.getSnapshot()); };
client.subscribe(show);
show();
window.causes = [];
client.onRevoked((cause) => window.causes.push({ cause, at: performance.timeOrigin + performance.now() }));
window.client = client;
</script></html>`;

declare global {
  interface Window {
    client: SessionClient;
    causes: { readonly cause: SignOutCause | undefined; readonly at: number }[];
  }
}

describe.skipIf(hasNoChromium)("the SDK in Chromium", () => {
  let node: TestNode;
  let path: TcpProxy;
  let app: Server;
  let appUrl: string;
  let browser: Browser;
  beforeAll(async () => {
    const sdk = await bundle("src/client/core.ts");
    // An origin of its own, as most apps have. Served and not put in place of an answer, because Chromium lets a page that it
    // does not know to be local reach nothing local.
    app = createServer((request, response) => {
      const isModule = request.url === "/sdk.js";
      response.writeHead(200, { "content-type": isModule ? "text/javascript" : "text/html" });
      response.end(isModule ? sdk : APP.replace("URL", `http://127.0.0.1:${path.port}`));
    });
    app.listen(0, "127.0.0.1");
    await once(app, "listening");
    appUrl = `http://127.0.0.1:${(app.address() as AddressInfo).port}`;
    node = await startTestNode("postgres", { settings: { ALLOWED_ORIGINS: appUrl } });
    path = await startTcpProxy(Number(new URL(node.url).port));
    browser = await launchChromium();
  });
  afterAll(async () => {
    await browser.close();
    await path.close();
    await node.stop();
    app.close();
  });

  /** A browser of its own, with a way to the node that can be cut. */
  async function openBrowser(): Promise<{
    readonly context: BrowserContext;
    readonly openTab: () => Promise<Tab>;
  }> {
    path.set("open");
    const context = await browser.newContext();
    onTestFinished(() => context.close());
    context.setDefaultTimeout(10_000);
    return { context, openTab: () => openTab(context) };
  }

  interface Tab {
    readonly page: Page;
    /** How many connections it has open. */
    readonly connections: () => number;
    readonly is: (status: string, part?: string) => Promise<void>;
  }

  async function openTab(context: BrowserContext): Promise<Tab> {
    const page = await context.newPage();
    let connections = 0;
    page.on("websocket", (socket) => {
      connections += 1;
      socket.on("close", () => {
        connections -= 1;
      });
    });
    await page.goto(appUrl);
    const status = page.locator("#status");
    return {
      page,
      connections: () => connections,
      is: (name, part = "") =>
        status
          .filter({ hasText: `"status":"${name}"` })
          .filter({ hasText: part })
          .waitFor(),
    };
  }

  const logInWith = (tab: Tab, { email, password }: Pick<TestUser, "email" | "password">) =>
    tab.page.evaluate((input) => window.client.login(input).then((result) => result.__typename), {
      email,
      password,
    });

  /** Two tabs of one browser, both signed in, of which one holds the connection. */
  async function twoTabs() {
    const user = await signUp(node.url);
    const { context, openTab } = await openBrowser();
    const [first, second] = [await openTab(), await openTab()];
    await first.is("signedOut");
    await second.is("signedOut");
    expect(await logInWith(first, user)).toBe("LoginSuccess");
    await first.is("signedIn", user.email);
    // It was told by the other tab, and asked the service.
    await second.is("signedIn", user.email);
    await eventually("one connection", () => first.connections() + second.connections() === 1);
    return { user, context, first, second, openTab };
  }

  test("keeps the token out of scripts' reach", async () => {
    const { first, context } = await twoTabs();
    const visible = await first.page.evaluate(
      () => document.cookie + JSON.stringify({ ...localStorage, ...sessionStorage }),
    );
    expect(visible).toBe("{}");
    expect((await context.cookies())[0]).toMatchObject({
      name: "session",
      httpOnly: true,
      sameSite: "Strict",
    });
  });

  test("signs out all tabs at once, each with the reason, when an administrator ends the session", async () => {
    const { user, first, second } = await twoTabs();
    const admin = await logIn(node.url, ADMIN);
    await admin.run(`mutation { revokeAllSessions(userId: "${user.userId}") { __typename } }`);
    for (const tab of [first, second]) await tab.is("signedOut", "You were logged out by an administrator.");
    const told = await Promise.all([first, second].map(({ page }) => page.evaluate(() => window.causes)));
    expect(told.map((causes) => causes.map(({ cause }) => cause?.reason))).toEqual([
      ["REVOKED_BY_ADMIN"],
      ["REVOKED_BY_ADMIN"],
    ]);
    // Read by people, see docs/sdk.md; asserting it would make the test one of the machine.
    const [event] = await node.sql(
      "SELECT at FROM session_event WHERE user_id = $1 AND type = 'SESSION_REVOKED' ORDER BY id DESC LIMIT 1",
      [user.userId],
    );
    const after = told.map(([cause]) => ((cause?.at ?? 0) - Number(event?.["at"])).toFixed(0));
    process.stdout.write(`from the event to the two tabs: ${after.join(" and ")} ms\n`);
    await eventually("no connection", () => first.connections() + second.connections() === 0);
  });

  test("signs out all tabs by a logout in one of them, without anything to explain", async () => {
    const { first, second } = await twoTabs();
    await second.page.evaluate(() => window.client.logout());
    await second.is("signedOut");
    await first.is("signedOut");
    expect(await second.page.evaluate(() => window.client.getSnapshot())).toEqual({ status: "signedOut" });
    expect(await second.page.evaluate(() => window.causes)).toEqual([]);
  });

  test("has another tab take over the connection when the one that held it is closed", async () => {
    const { user, first, second } = await twoTabs();
    const [leader, other] = first.connections() === 1 ? [first, second] : [second, first];
    await leader.page.close();
    await eventually("the other tab's connection", () => other.connections() === 1);
    await node.sql("UPDATE users SET role = 'SUPPORT' WHERE id = $1", [user.userId]);
    await other.is("signedOut", "ROLE_CHANGED");
  });

  test("signs out on return a tab that was offline when the session ended", async () => {
    const { user, first, second } = await twoTabs();
    path.set("refusing");
    await eventually("no connection", () => first.connections() + second.connections() === 0);
    await node.sql("UPDATE users SET role = 'SUPPORT' WHERE id = $1", [user.userId]);
    for (const tab of [first, second]) await tab.is("signedIn");
    path.set("open");
    // As the browser says it when the network is back: nobody waits for the next attempt.
    for (const { page } of [first, second])
      await page.evaluate(() => window.dispatchEvent(new Event("online")));
    for (const tab of [first, second]) await tab.is("signedOut", "ROLE_CHANGED");
  });

  test("knows why in a tab whose cookie was taken back by an answer to another tab", async () => {
    const { user, first, second } = await twoTabs();
    const [leader, other] = first.connections() === 1 ? [first, second] : [second, first];
    // The other's own connection would tell it, too, once it leads.
    await other.page.addInitScript(() => {
      window.WebSocket = class extends EventTarget {
        close() {}
      } as unknown as typeof WebSocket;
    });
    await other.page.reload();
    await other.is("signedIn", user.email);
    // What the tab that is refused has to say comes later than the other's answer.
    const letSpeak = await leader.page.evaluateHandle(() => {
      const post = BroadcastChannel.prototype.postMessage;
      const held: (() => void)[] = [];
      BroadcastChannel.prototype.postMessage = function (message) {
        held.push(() => post.call(this, message));
      };
      return () => {
        for (const speak of held) speak();
      };
    });
    await node.sql("UPDATE users SET role = 'SUPPORT' WHERE id = $1", [user.userId]);
    await leader.is("signedOut", "ROLE_CHANGED");
    await leader.page.evaluate(() => window.client.check());
    const answered = other.page.waitForResponse((response) => response.url().endsWith("/graphql"));
    await other.page.evaluate(() => void window.client.check());
    expect(await (await answered).json()).toEqual({ data: { viewer: null, currentSession: null } });
    await letSpeak.evaluate((speak) => speak());
    await other.is("signedOut", "ROLE_CHANGED");
  });

  test("asks at once when a page is looked at again", async () => {
    const { user, first, second } = await twoTabs();
    for (const { page } of [first, second]) {
      await page.evaluate(() => {
        Object.defineProperty(document, "visibilityState", { configurable: true, get: () => "hidden" });
        document.dispatchEvent(new Event("visibilitychange"));
      });
    }
    // Nothing that is sent arrives: neither an event nor that the connection is dead.
    path.set("deaf");
    await node.sql("UPDATE users SET role = 'SUPPORT' WHERE id = $1", [user.userId]);
    path.set("open");
    await first.page.evaluate(() => {
      Object.defineProperty(document, "visibilityState", { configurable: true, get: () => "visible" });
      document.dispatchEvent(new Event("visibilitychange"));
    });
    for (const tab of [first, second]) await tab.is("signedOut", "ROLE_CHANGED");
  });

  test("signs nobody out by a reload, and finds the session again", async () => {
    const { user, first } = await twoTabs();
    await first.page.reload();
    await first.is("signedIn", user.email);
  });

  test("goes over to another user in all tabs", async () => {
    const { first, second } = await twoTabs();
    const next = await signUp(node.url);
    await logInWith(first, next);
    await first.is("signedIn", next.email);
    await second.is("signedIn", next.email);
  });
});
