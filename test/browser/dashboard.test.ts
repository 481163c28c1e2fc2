import { randomUUID } from "node:crypto";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { hasNoChromium, launchChromium } from "../kit/chromium.ts";
import { logIn, settle, signUp } from "../kit/client.ts";
import { type Look, openBrowser, openPage, passwordOf, signIn, takePicture } from "../kit/dashboard-pages.ts";
import { type MailServer, startMailServer, tokenIn } from "../kit/mail-server.ts";
import { startTestNode, type TestNode } from "../kit/node.ts";
import { freePort } from "../kit/postgres-server.ts";

describe.skipIf(hasNoChromium)("the dashboard in Chromium", () => {
  let node: TestNode;
  let mails: MailServer;
  let browser: Browser;
  beforeAll(async () => {
    mails = await startMailServer();
    const port = await freePort();
    const settings = { ...mails.settings, PORT: String(port), PUBLIC_URL: `http://127.0.0.1:${port}` };
    node = await startTestNode("postgres", { settings });
    browser = await launchChromium();
  });
  afterAll(async () => {
    await browser.close();
    await node.stop();
    await mails.stop();
  });

  /** A page in a browser of its own. */
  async function open(path = "/", look: Look = {}): Promise<Page> {
    return openPage(await openBrowser(browser, look), node.url + path);
  }

  test("signs up, shows the new device, and says what is wrong with the form", async () => {
    const page = await open("/sign-up");
    const password = "a fine password";
    await page.getByLabel("Email").fill(`${randomUUID()}@example.com`);
    await page.getByLabel("Name").fill("Ann");
    await passwordOf(page).fill("short");
    await page.getByLabel("Password once more").fill("short");
    await page.getByRole("button", { name: "Sign up" }).click();
    await page.getByText("A password has at least 8 characters.").waitFor();
    await takePicture(page, "sign-up");
    await passwordOf(page).fill(password);
    await page.getByLabel("Password once more").fill(password);
    await page.getByRole("button", { name: "Sign up" }).click();
    await page.getByText("This device", { exact: true }).waitFor();
    expect(await page.getByText("Chrome on Linux").count()).toBe(1);
  });

  test("ends another device's session, which leaves its page at once with the reason", async () => {
    const user = await signUp(node.url);
    const [laptop, phone] = [await open(), await open("/", { phone: true, dark: true })];
    await signIn(laptop, user);
    await signIn(phone, user);
    // The new session appears by itself.
    await laptop.getByRole("button", { name: "Log out Chrome on Linux" }).first().waitFor();
    await takePicture(laptop, "devices");
    await takePicture(phone, "devices-phone-dark");
    await laptop.getByRole("button", { name: "Log out all others" }).click();
    await laptop.getByText("This ends 2 sessions now.").waitFor();
    await takePicture(laptop, "confirm");
    await laptop.getByRole("dialog").getByRole("button", { name: "Log out" }).click();
    await phone.getByText("You were logged out from another of your sessions.").waitFor();
    await takePicture(phone, "signed-out-phone-dark");
    await laptop.getByRole("button", { name: "Log out Chrome on Linux" }).waitFor({ state: "detached" });
  });

  test("asks for the password again when it was given long ago, and then goes on", async () => {
    const user = await signUp(node.url);
    const page = await open();
    await signIn(page, user);
    await node.sql("UPDATE sessions SET authenticated_at = now() - interval '1 hour' WHERE user_id = $1", [
      user.userId,
    ]);
    await settle(node.url);
    await page.getByRole("button", { name: "Log out all others" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Log out" }).click();
    await page.getByText("You signed in a while ago.").waitFor();
    await passwordOf(page).fill(user.password);
    await page.getByRole("button", { name: "Go on" }).click();
    await page.getByText("You signed in a while ago.").waitFor({ state: "detached" });
    await page
      .getByRole("button", { name: /^Log out / })
      .nth(1)
      .waitFor({ state: "detached" });
  });

  test("changes the password and keeps this device", async () => {
    const user = await signUp(node.url);
    const page = await open();
    await signIn(page, user);
    await page.getByRole("button", { name: "Change password" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("Current password").fill(user.password);
    await dialog.getByLabel("New password").fill("a new password");
    await dialog.getByRole("button", { name: "Change password" }).click();
    await dialog.waitFor({ state: "detached" });
    expect(await page.getByText("This device", { exact: true }).count()).toBe(1);
    await logIn(node.url, { email: user.email, password: "a new password" });
  });

  test("leads through a forgotten password, by the mail's link", async () => {
    const user = await signUp(node.url);
    const page = await open();
    await page.getByRole("link", { name: "Forgot your password?" }).click();
    await page.getByLabel("Email").fill(user.email);
    await page.getByRole("button", { name: "Send me a link" }).click();
    await page.getByText("is on its way").waitFor();
    const token = tokenIn(await mails.find(user.email, "Choose a new password"));
    const reset = await open(`/reset-password#token=${token}`);
    expect(reset.url()).not.toContain("llr_");
    await reset.getByLabel("New password").fill("a new password");
    await reset.getByRole("button", { name: "Change my password" }).click();
    await reset.getByRole("link", { name: "Sign in with the new password" }).click();
    await signIn(reset, { email: user.email, password: "a new password" });
  });

  test("ends a session that was not its user's, by the mail's link, and not before the button", async () => {
    const user = await signUp(node.url);
    const stolen = await open();
    await signIn(stolen, user);
    const token = tokenIn(await mails.find(user.email, "New sign-in to your account"));
    const page = await open(`/report-session#token=${token}`);
    await page.getByRole("button", { name: "End that session now" }).waitFor();
    expect(await stolen.getByText("This device", { exact: true }).count()).toBe(1);
    await page.getByRole("button", { name: "End that session now" }).click();
    await page.getByText("That session has ended").waitFor();
    await stolen.getByText("reported as not yours").waitFor();
    await mails.find(user.email, "Choose a new password");
  });
});
