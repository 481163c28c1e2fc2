import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import pg from "pg";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { hasNoChromium, launchChromium } from "../kit/chromium.ts";
import { logIn, settle, signUp, type TestUser } from "../kit/client.ts";
import { type Look, openBrowser, openPage, passwordOf, signIn, takePicture } from "../kit/dashboard-pages.ts";
import { createTestDatabase } from "../kit/databases.ts";
import { eventually } from "../kit/deadline.ts";
import { ADMIN, startTestNode, type TestNode } from "../kit/node.ts";
import { freePort } from "../kit/postgres-server.ts";

describe.skipIf(hasNoChromium)("the operators' pages in Chromium", () => {
  let node: TestNode;
  let browser: Browser;
  beforeAll(async () => {
    node = await startTestNode("postgres");
    browser = await launchChromium();
  });
  afterAll(async () => {
    await browser.close();
    await node.stop();
  });

  /** The page of an administrator who has just signed in. */
  async function openAsAdmin(path = "/", look: Look = {}): Promise<Page> {
    const page = await openPage(await openBrowser(browser, look), node.url + path);
    await signIn(page, ADMIN);
    return page;
  }
  const signUpAs = (name: string) => signUp(node.url, { name });

  /** Opens a user's page by looking for them among all. */
  async function goToUser(page: Page, user: TestUser): Promise<void> {
    await page.getByRole("link", { name: "Users" }).click();
    await page.getByLabel("Name or email").fill(user.email);
    await page.getByText("1 user", { exact: true }).waitFor();
    await page.getByRole("table").getByRole("link").click();
    await page.getByText(user.email).waitFor();
  }
  async function choose(page: Page, label: string, option: string): Promise<void> {
    await page.getByLabel(label, { exact: true }).first().click();
    await page.getByRole("option", { name: option }).click();
  }
  const inDialog = (page: Page, button: string) =>
    page.getByRole("dialog").getByRole("button", { name: button });

  test("a role that an administrator changes logs both tabs of the user out, and the live feed shows it", async () => {
    const user = await signUpAs("Rolf Rolechange");
    const context = await openBrowser(browser);
    const first = await openPage(context, node.url);
    await signIn(first, user);
    const second = await openPage(context, node.url);
    await second.getByText("This device", { exact: true }).waitFor();

    const admin = await openAsAdmin();
    await goToUser(admin, user);
    await choose(admin, "Role", "SUPPORT");
    // The one that signed up lives, too.
    await admin.getByText("Ends 2 sessions of this user, now.").waitFor();
    await takePicture(admin, "confirm-role");
    await inDialog(admin, "Change the role").click();
    for (const tab of [first, second]) {
      await tab.getByText("You were logged out because your role changed.").waitFor();
    }
    await admin.getByText("Rolf Rolechange is SUPPORT now; 2 sessions ended.").waitFor();
    await admin.getByText("Rolf Rolechange is signed in nowhere.").waitFor();
    await takePicture(admin, "user");
    await admin.getByRole("link", { name: "Live", exact: true }).click();
    const line = admin
      .getByRole("listitem")
      .filter({ hasText: "Rolf Rolechange" })
      .filter({ hasText: "Role changed" });
    await eventually("the feed shows both ends", async () => (await line.count()) === 2);
    expect(await line.first().textContent()).toContain("by Administrator");
  });

  test("the live feed misses nothing, and repeats nothing, when its node is restarted in between", async () => {
    const database = await createTestDatabase("postgres");
    onTestFinished(() => database.remove());
    const settings = { PORT: String(await freePort()) };
    const before = await startTestNode("postgres", { on: database, settings });
    const user = await signUp(before.url, { name: "Rita Restart" });
    const page = await openPage(await openBrowser(browser), before.url);
    await signIn(page, ADMIN);
    const shown = async () =>
      page
        .locator("[data-event]")
        .evaluateAll((lines) => lines.map((line) => line.getAttribute("data-event")));
    await page.getByText("Live", { exact: true }).last().waitFor();
    await logIn(before.url, user);
    await eventually("the sign-in is shown", async () => (await shown()).length === 3);

    await before.stop();
    const writer = new pg.Client({ connectionString: String(database.settings["DATABASE_URL"]) });
    await writer.connect();
    onTestFinished(() => writer.end());
    await writer.query("UPDATE users SET role = 'SUPPORT' WHERE id = $1", [user.userId]);
    await page.getByText("The service cannot be reached", { exact: true }).waitFor();
    await takePicture(page, "offline");
    const after = await startTestNode("postgres", { on: database, settings });
    onTestFinished(() => after.stop());
    await logIn(after.url, user);
    const { rows } = await writer.query<{ id: string }>(
      "SELECT id::text FROM session_event ORDER BY id DESC",
    );
    expect(rows.length).toBeGreaterThanOrEqual(6);
    await eventually(
      "the feed has what happened meanwhile",
      async () => (await shown()).length >= rows.length,
      20_000,
    );
    expect(await shown()).toEqual(rows.map(({ id }) => id));
  });

  test("the live feed is paused and filtered by user, actor and what happened", async () => {
    const [ann, bob] = [await signUpAs("Ann Filtered"), await signUpAs("Bob Filtered")];
    const admin = await openAsAdmin();
    const lines = admin.locator("[data-event]");
    await admin.getByLabel("Whose session").fill("filtered");
    await eventually("both sign-ups are shown", async () => (await lines.count()) === 2);
    await admin.getByRole("button", { name: "Pause" }).click();
    await logIn(node.url, ann);
    await admin.getByText("Paused, 1 new").waitFor();
    expect(await lines.count()).toBe(2);
    await admin.getByRole("button", { name: "Go on" }).click();
    await eventually("the third is shown", async () => (await lines.count()) === 3);
    await node.sql("UPDATE users SET role = 'SUPPORT' WHERE id = $1", [bob.userId]);
    await choose(admin, "What happened", "Role changed");
    await eventually("only Bob's end is shown", async () => (await lines.count()) === 1);
    expect(await lines.textContent()).toContain("Bob Filtered");
    await admin.getByLabel("Done by").fill("nobody");
    await admin.getByText("Nothing that fits has happened yet.").waitFor();
  });

  test("an administrator whose password was given long ago is asked for it, and then it is done", async () => {
    const user = await signUpAs("Rhea Reauth");
    const admin = await openAsAdmin();
    await node.sql(
      "UPDATE sessions SET authenticated_at = now() - interval '1 hour' WHERE user_id = (SELECT id FROM users WHERE email = $1)",
      [ADMIN.email],
    );
    await settle(node.url);
    await goToUser(admin, user);
    await admin.getByRole("button", { name: "Deactivate" }).click();
    await inDialog(admin, "Deactivate").click();
    await admin.getByText("You signed in a while ago.").waitFor();
    await passwordOf(admin).fill("not the password");
    await admin.getByRole("button", { name: "Go on" }).click();
    await admin.getByRole("dialog").getByRole("alert").waitFor();
    await passwordOf(admin).fill(ADMIN.password);
    await admin.getByRole("button", { name: "Go on" }).click();
    await admin.getByText("Rhea Reauth is deactivated; 1 session ended.").waitFor();
    await admin.getByRole("button", { name: "Activate" }).waitFor();
  });

  test("ends all sessions that fit, after saying how many, and shows how far it is", async () => {
    const user = await signUpAs("Paula Policy");
    const page = await openPage(await openBrowser(browser), node.url);
    await signIn(page, user);
    const admin = await openAsAdmin("/sessions");
    await admin.getByRole("combobox", { name: "Whose session" }).fill("Paula Pol");
    await admin.getByRole("option", { name: "Paula Policy" }).click();
    await admin.getByText("2 sessions", { exact: true }).waitFor();
    await takePicture(admin, "sessions");
    await admin.getByRole("button", { name: "Log out all that fit" }).click();
    await admin.getByText("Ends 2 sessions, now. The one that you use is spared.").waitFor();
    await takePicture(admin, "confirm-policy");
    // Whoever holds the log's lock makes it wait.
    await node.sql("BEGIN");
    await node.sql("SELECT pg_advisory_xact_lock(hashtextextended('live_logout.session_event', 0))");
    await inDialog(admin, "Log out").click();
    await admin.getByText("0 sessions of 2 ended").waitFor();
    expect(await admin.getByRole("progressbar").getAttribute("aria-valuenow")).toBe("0");
    await takePicture(admin, "progress");
    await node.sql("COMMIT");
    await page.getByText("You were logged out by a security policy.").waitFor();
    await admin.getByText("2 sessions ended.").waitFor();
    await admin.getByText("No session fits.").waitFor();
  });

  test("shows who ended what, when and why, and saves it as a table that runs no formula", async () => {
    const user = await signUpAs('=HYPERLINK("https://evil.example")');
    const admin = await openAsAdmin();
    await goToUser(admin, user);
    await admin.getByRole("button", { name: "Log out everywhere" }).click();
    await inDialog(admin, "Log out").click();
    await admin.getByText("is signed in nowhere").waitFor();
    await admin.getByRole("link", { name: "Audit" }).click();
    await admin.getByRole("combobox", { name: "Done by" }).fill(ADMIN.email);
    await admin.getByRole("option").first().click();
    await choose(admin, "Why", "Ended by an administrator");
    const row = admin.getByRole("row").filter({ hasText: "HYPERLINK" });
    await row.waitFor();
    expect(await row.textContent()).toContain("Administrator");
    await takePicture(admin, "audit");
    const download = admin.waitForEvent("download");
    await admin.getByRole("button", { name: "Export CSV" }).click();
    const table = await readFile(await (await download).path(), "utf8");
    const [header = "", ...rows] = table.split("\r\n");
    expect(header).toBe(
      "event,at,reason,session,device,address,user,user_name,user_email,actor,actor_name,actor_email",
    );
    const saved = rows.find((line) => line.includes("HYPERLINK"));
    expect(saved).toContain("REVOKED_BY_ADMIN");
    expect(saved).toContain(ADMIN.email);
    expect(saved).toContain(`"'=HYPERLINK(""https://evil.example"")"`);
    expect(rows.every((line) => line.includes("REVOKED_BY_ADMIN"))).toBe(true);
  });

  test("SUPPORT sees and ends sessions but changes nobody, and users see nothing of it", async () => {
    const [helper, user] = [await signUpAs("Hank Helper"), await signUpAs("Una User")];
    await node.sql("UPDATE users SET role = 'SUPPORT' WHERE id = $1", [helper.userId]);
    const page = await openPage(await openBrowser(browser), node.url);
    await signIn(page, helper);
    await goToUser(page, user);
    await page.getByRole("button", { name: "Log out everywhere" }).waitFor();
    expect(await page.getByLabel("Role").count()).toBe(0);
    expect(await page.getByRole("button", { name: "Deactivate" }).count()).toBe(0);
    await page.getByRole("link", { name: "Sessions" }).click();
    await page.getByRole("heading", { name: "Sessions" }).waitFor();
    expect(await page.getByRole("button", { name: "Log out all that fit" }).count()).toBe(0);

    const other = await openPage(await openBrowser(browser), `${node.url}/users`);
    await signIn(other, user);
    await other.getByText("Your devices").waitFor();
    expect(await other.getByRole("link", { name: "Users" }).count()).toBe(0);
  });

  test("what is loaded on demand is tried again until the service is back, and says so if it is not there at all", async () => {
    const context = await openBrowser(browser);
    let isDown = true;
    const down = /\/(assets\/charts.*|healthz)$/;
    await context.route(down, (route) => (isDown ? route.abort() : route.continue()));
    const page = await openPage(context, node.url);
    await signIn(page, ADMIN);
    await page.getByLabel("Loading charts").waitFor();
    await page.getByText("What happens").waitFor();
    isDown = false;
    await page.locator(".recharts-surface").first().waitFor();

    const later = await openBrowser(browser);
    await later.route(/\/assets\/charts/, (route) => route.fulfill({ status: 404 }));
    const gone = await openPage(later, node.url);
    await signIn(gone, ADMIN);
    await gone.getByText("This part of the page could not be shown.").waitFor();
    await gone.getByRole("button", { name: "Load the page again" }).waitFor();
    await gone.getByText("What happens").waitFor();
  });

  test("a page that is offline says so, and is up to date again when it is back", async () => {
    const user = await signUpAs(`Otto ${randomUUID()}`);
    const context = await openBrowser(browser);
    const page = await openPage(context, node.url);
    await signIn(page, user);
    await context.setOffline(true);
    await page.getByText("You are offline").waitFor();
    await context.setOffline(false);
    await page.getByText("You are offline").waitFor({ state: "detached" });
    await logIn(node.url, user);
    await eventually(
      "the new session is shown",
      async () => (await page.locator("main li").count()) === 3,
      20_000,
    );
  });
});
