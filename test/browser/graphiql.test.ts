import { join } from "node:path";
import type { Browser, BrowserContext, Locator, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { hasNoChromium, launchChromium } from "../kit/chromium.ts";
import { signUp } from "../kit/client.ts";
import { eventually } from "../kit/deadline.ts";
import { temporaryFolder } from "../kit/folders.ts";
import { startTestNode, type TestNode } from "../kit/node.ts";

/** Where the pictures of a run are, to be looked at. */
const screenshots = process.env["SCREENSHOTS"] ?? (await temporaryFolder("screenshots"));

describe.skipIf(hasNoChromium)("GraphiQL in Chromium", () => {
  let node: TestNode;
  let browser: Browser;
  beforeAll(async () => {
    node = await startTestNode("embedded");
    browser = await launchChromium();
  });
  afterAll(async () => {
    await browser.close();
    await node.stop();
  });

  /** A browser of its own that reaches this node and nothing else, as without internet. */
  async function offlineBrowser(): Promise<{ context: BrowserContext; elsewhere: readonly string[] }> {
    const context = await browser.newContext({ viewport: { width: 1400, height: 800 } });
    onTestFinished(async ({ task }) => {
      for (const [index, page] of context.pages().entries()) {
        if (task.result?.state === "fail")
          await page.screenshot({ path: join(screenshots, `failed-${index}.png`) });
      }
      await context.close();
    });
    // Sooner than the test's own deadline, so that what was on the screen can still be pictured.
    context.setDefaultTimeout(10_000);
    const elsewhere: string[] = [];
    await context.route(
      (url) => url.origin !== node.url && url.protocol.startsWith("http"),
      (route) => {
        elsewhere.push(route.request().url());
        return route.abort();
      },
    );
    return { context, elsewhere };
  }

  async function openGraphiQL(context: BrowserContext): Promise<Page> {
    const page = await context.newPage();
    await page.goto(`${node.url}/graphql`);
    await page.locator(".graphiql-query-editor .view-line").first().waitFor();
    return page;
  }

  /** GraphiQL ignores clicks on its tabs until it has settled, so this clicks until one is heard. */
  async function chooseTab(page: Page, name: string): Promise<void> {
    const tab = page.locator(".graphiql-tab", { has: page.locator(`button[title="${name}"]`) });
    await eventually(`the tab ${name} is chosen`, async () => {
      await tab.locator(".graphiql-tab-button").click();
      return (await tab.getAttribute("aria-selected")) === "true";
    });
    await page.locator(".graphiql-query-editor", { hasText: name }).waitFor();
  }

  /**
   * Runs the tab's operation and waits for what shows that it ran. GraphiQL learns a tab's operation a little after
   * showing it, without a sign, and refuses to run it until then; so this tries again.
   */
  async function execute(page: Page, sign: Locator): Promise<void> {
    await eventually("the operation runs", async () => {
      await page.locator(".graphiql-execute-button").click();
      return sign.waitFor({ timeout: 2_000 }).then(
        () => true,
        () => false,
      );
    });
  }
  const response = (page: Page) => page.locator(".graphiql-response");

  /** Logs in as a newcomer would: by filling in the first tab. */
  async function logIn(
    page: Page,
    user: { readonly email: string; readonly password: string },
  ): Promise<void> {
    await chooseTab(page, "LogIn");
    for (const [field, text] of [
      ["email", user.email],
      ["password", user.password],
    ] as const) {
      await eventually(`the cursor is in the line of ${field}`, async () => {
        const line = page.locator(".graphiql-query-editor .view-line", { hasText: `${field}:` });
        await line.click();
        const cursor = page.locator(".graphiql-query-editor .cursor");
        const [lineBox, cursorBox] = [await line.boundingBox(), await cursor.boundingBox()];
        return lineBox !== null && lineBox.y === cursorBox?.y;
      });
      await page.keyboard.press("End");
      await page.keyboard.press("Shift+Home");
      await page.keyboard.insertText(`${field}: ${JSON.stringify(text)}`);
    }
    await execute(page, response(page).getByText("LoginSuccess"));
  }

  test("opens offline with tabs that walk a newcomer through it", async () => {
    const { context, elsewhere } = await offlineBrowser();
    const page = await openGraphiQL(context);
    const tabs = await page.locator(".graphiql-tab-button").allTextContents();
    expect(tabs).toEqual([
      ...["LogIn", "MySessions", "WaitForRevocation", "Revoke"],
      ...["LookAround", "FollowTheLog", "ChangeRole"],
    ]);
    await page.screenshot({ path: join(screenshots, "graphiql-1-welcome.png") });
    expect(elsewhere).toEqual([]);
  });

  test("logs in, waits for the revocation over a WebSocket, and shows it when another tab revokes", async () => {
    const user = await signUp(node.url);
    const { context, elsewhere } = await offlineBrowser();
    const page = await openGraphiQL(context);
    await logIn(page, user);
    await page.screenshot({ path: join(screenshots, "graphiql-2-logged-in.png") });

    const webSocket = page.waitForEvent("websocket");
    await chooseTab(page, "WaitForRevocation");
    await execute(page, page.getByRole("button", { name: /^Stop query/ }));
    expect((await webSocket).url()).toBe(`${node.url.replace("http", "ws")}/graphql`);

    const other = await openGraphiQL(context);
    await chooseTab(other, "MySessions");
    await execute(other, response(other).getByText("online").first());
    await other.screenshot({ path: join(screenshots, "graphiql-3-my-sessions.png") });
    await chooseTab(other, "Revoke");
    await execute(other, response(other).getByText("RevokeAllSessionsSuccess"));

    await response(page).getByText("REVOKED_BY_USER").first().waitFor();
    await page.bringToFront();
    await page.screenshot({ path: join(screenshots, "graphiql-4-revoked.png") });
    const shown = ((await response(page).textContent()) ?? "").replace(/\s+/g, " ");
    expect(shown).toContain("You were logged out from another of your sessions.");
    expect(elsewhere).toEqual([]);
  });

  test("keeps the session out of scripts' reach", async () => {
    const user = await signUp(node.url);
    const { context } = await offlineBrowser();
    const page = await openGraphiQL(context);
    await logIn(page, user);
    const readable = await page.evaluate(
      "JSON.stringify([document.cookie, { ...localStorage }, { ...sessionStorage }])",
    );
    expect(readable).not.toContain("lls_");
    const [cookie] = await context.cookies();
    expect(cookie).toMatchObject({ name: "session", httpOnly: true, sameSite: "Strict", path: "/" });
  });
});
