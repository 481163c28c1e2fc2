import { randomUUID } from "node:crypto";
import { AxeBuilder } from "@axe-core/playwright";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { hasNoChromium, launchChromium } from "../kit/chromium.ts";
import { logIn, signUp, type TestUser } from "../kit/client.ts";
import { type Look, openBrowser, openPage, signIn, takePicture } from "../kit/dashboard-pages.ts";
import { ADMIN, startTestNode, type TestNode } from "../kit/node.ts";

const LOOKS: readonly (readonly [string, Look])[] = [
  ["light on a desktop", {}],
  ["dark on a desktop", { dark: true }],
  ["light on a phone", { phone: true }],
  ["dark on a phone", { dark: true, phone: true }],
];

/** The most JavaScript that the first page may need, compressed, in bytes. */
const BUDGET = 250_000;

describe.skipIf(hasNoChromium)("the dashboard in Chromium", () => {
  let node: TestNode;
  let browser: Browser;
  let user: TestUser;
  beforeAll(async () => {
    node = await startTestNode("postgres");
    browser = await launchChromium();
    user = await signUp(node.url, { name: "Ann Accessible" });
    await logIn(node.url, user);
    await (await logIn(node.url, user)).run("mutation { logout { __typename } }");
    await node.sql("UPDATE users SET role = 'SUPPORT' WHERE id = $1", [(await signUp(node.url)).userId]);
  });
  afterAll(async () => {
    await browser.close();
    await node.stop();
  });

  async function expectNoViolation(page: Page, where: string): Promise<void> {
    // What fades in has another contrast until it has.
    await page.waitForFunction(() =>
      document.getAnimations().every(({ playState }) => playState !== "running"),
    );
    const { violations } = await new AxeBuilder({ page }).analyze();
    const found = violations.map(
      ({ id, nodes }) => `${where}: ${id} ${nodes.map(({ html }) => html).join(" ")}`,
    );
    expect.soft(found).toEqual([]);
  }

  test.each(LOOKS)("has no accessibility violation for whoever is signed out, %s", async (name, look) => {
    const context = await openBrowser(browser, look);
    const page = await openPage(context, node.url);
    for (const [path, heading] of [
      ["", "Sign in"],
      ["sign-up", "Sign up"],
      ["forgot-password", "Forgot your password?"],
      ["reset-password#token=x", "Choose a new password"],
      ["report-session#token=x", "This wasn't you?"],
      ["confirm-sign-up#token=x", "Finish signing up"],
    ] as const) {
      await page.goto(`${node.url}/${path}`);
      await page.getByRole("heading", { name: heading }).waitFor();
      await takePicture(page, `${heading.toLowerCase().replace(/\W+/g, "-")} ${name}`);
      await expectNoViolation(page, heading);
    }
  });

  test.each(LOOKS)("has no accessibility violation for a user, %s", async (name, look) => {
    const page = await openPage(await openBrowser(browser, look), node.url);
    await signIn(page, user);
    await page.getByText("This device", { exact: true }).waitFor();
    await takePicture(page, `devices ${name}`);
    await expectNoViolation(page, "Your devices");
    await page.getByRole("button", { name: "Change password" }).click();
    await page.getByRole("dialog").waitFor();
    await expectNoViolation(page, "Change your password");
    await page.keyboard.press("Escape");
    const current = await node.sql(
      "UPDATE sessions SET revoked_at = now() WHERE user_id = $1 AND revoked_at IS NULL AND user_agent LIKE '%Chrome%' RETURNING id",
      [user.userId],
    );
    expect(current).not.toEqual([]);
    await page.getByText("You were logged out by an administrator.").waitFor();
    await takePicture(page, `logged out ${name}`);
    await expectNoViolation(page, "You were logged out");
  });

  test.each(LOOKS)("has no accessibility violation for an operator who looks on, %s", async (name, look) => {
    const page = await openPage(await openBrowser(browser, look), node.url);
    await signIn(page, ADMIN);
    await page.locator(".recharts-surface").first().waitFor();
    await takePicture(page, `live ${name}`);
    await expectNoViolation(page, "Live");
    await page.goto(`${node.url}/audit`);
    await page.getByText(/^\d+ sessions? ended/).waitFor();
    await takePicture(page, `audit ${name}`);
    await expectNoViolation(page, "Audit");
  });

  test.each(LOOKS)(
    "has no accessibility violation for an operator who looks at users, %s",
    async (name, look) => {
      const page = await openPage(await openBrowser(browser, look), `${node.url}/users`);
      await signIn(page, ADMIN);
      await page.getByText(/^\d+ users/).waitFor();
      await takePicture(page, `users ${name}`);
      await expectNoViolation(page, "Users");
      await page.goto(`${node.url}/users/${user.userId}`);
      await page.getByText(/^\d+ events/).waitFor();
      await takePicture(page, `user ${name}`);
      await expectNoViolation(page, "A user");
      await page.goto(`${node.url}/users/${randomUUID()}`);
      await page.getByText("There is no user of this id.").waitFor();
      await expectNoViolation(page, "No user");
    },
  );

  test.each(LOOKS)(
    "has no accessibility violation for an operator who ends sessions, %s",
    async (name, look) => {
      const page = await openPage(await openBrowser(browser, look), `${node.url}/sessions`);
      await signIn(page, ADMIN);
      await page.getByText(/^\d+ sessions?$/).waitFor();
      await takePicture(page, `sessions ${name}`);
      await expectNoViolation(page, "Sessions");
      await page.getByRole("button", { name: "Log out all that fit" }).click();
      await page.getByRole("dialog").waitFor();
      await takePicture(page, `confirmation ${name}`);
      await expectNoViolation(page, "A confirmation");
    },
  );

  test("is used by keyboard alone: a confirmation opens, closes, and gives the focus back", async () => {
    const page = await openPage(await openBrowser(browser), node.url);
    await page.getByLabel("Email").focus();
    await page.keyboard.type(user.email);
    await page.keyboard.press("Tab");
    await page.keyboard.type(user.password);
    await page.keyboard.press("Enter");
    // Before it is known which others there are, the button is off and takes no focus.
    const button = page.getByRole("button", { name: "Log out all others", disabled: false });
    await button.waitFor();
    await button.focus();
    await page.keyboard.press("Enter");
    await page.getByRole("dialog").waitFor();
    expect(await page.getByRole("dialog").evaluate((dialog) => dialog.contains(document.activeElement))).toBe(
      true,
    );
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "detached" });
    expect(await button.evaluate((element) => element === document.activeElement)).toBe(true);
  });

  test("needs less than 250 kB of JavaScript for its first page, and loads charts for operators only", async () => {
    const page = await openPage(await openBrowser(browser), "about:blank");
    const scripts = new Map<string, number>();
    page.on("requestfinished", async (request) => {
      if (request.resourceType() !== "script") return;
      scripts.set(new URL(request.url()).pathname, (await request.sizes()).responseBodySize);
    });
    await page.goto(node.url);
    await page.getByRole("heading", { name: "Sign in" }).waitFor();
    await page.waitForLoadState("networkidle");
    const total = [...scripts.values()].reduce((sum, size) => sum + size, 0);
    expect(total).toBeGreaterThan(10_000);
    expect(total).toBeLessThan(BUDGET);
    expect([...scripts.keys()].filter((path) => path.includes("charts"))).toEqual([]);
    await signIn(page, ADMIN);
    await page.locator(".recharts-surface").first().waitFor();
    expect([...scripts.keys()].filter((path) => path.includes("charts"))).toHaveLength(1);
  });
});
