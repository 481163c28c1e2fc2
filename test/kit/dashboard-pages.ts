import { join } from "node:path";
import process from "node:process";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { expect, onTestFinished } from "vitest";
import { temporaryFolder } from "./folders.ts";

/** Where the pictures of a run are, to be looked at. */
const screenshots = process.env["SCREENSHOTS"] ?? (await temporaryFolder("screenshots"));

export interface Look {
  readonly dark?: boolean;
  readonly phone?: boolean;
}

/** A browser of its own, with nobody signed in. Ends with the test. */
export async function openBrowser(browser: Browser, { dark = false, phone = false }: Look = {}) {
  const context = await browser.newContext({
    colorScheme: dark ? "dark" : "light",
    viewport: phone ? { width: 390, height: 844 } : { width: 1280, height: 900 },
    acceptDownloads: true,
  });
  onTestFinished(() => context.close());
  context.setDefaultTimeout(10_000);
  return context;
}

/** A page that must neither throw nor do what its Content-Security-Policy forbids. */
export async function openPage(context: BrowserContext, url: string): Promise<Page> {
  const page = await context.newPage();
  page.on("pageerror", (error) => expect.soft(String(error)).toBe(""));
  page.on("console", (message) => {
    if (message.text().includes("Content Security Policy")) expect.soft(message.text()).toBe("");
  });
  await page.goto(url);
  return page;
}

/** Fills in the form that the page shows to whoever is signed out. */
export async function signIn(
  page: Page,
  { email, password }: { readonly email: string; readonly password: string },
): Promise<void> {
  await page.getByLabel("Email").fill(email);
  await passwordOf(page).fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("button", { name: "Log out", exact: true }).first().waitFor();
}

/** The first password field: its label also holds the sign that it is needed. */
export const passwordOf = (page: Page) => page.locator("input[type=password]").first();

export function takePicture(page: Page, name: string): Promise<unknown> {
  return page.screenshot({ path: join(screenshots, `${name}.png`) });
}
