import { existsSync } from "node:fs";
import process from "node:process";
import { type Browser, chromium } from "playwright-core";

/** Where Debian and others put it. Playwright's own download is not to be had everywhere, so it is not used. */
const PLACES = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"] as const;

const found = [process.env["CHROMIUM_PATH"], ...PLACES].find((path) => path && existsSync(path));

/** Whether browser tests must be left out: there is no Chromium, and this is not CI, where there has to be one. */
export const hasNoChromium = !found && !process.env["CI"];

if (hasNoChromium) {
  process.stderr.write(
    "\nNO CHROMIUM FOUND: the browser tests are skipped. Install Debian's package chromium, or set CHROMIUM_PATH.\n\n",
  );
}

export function launchChromium(): Promise<Browser> {
  if (!found)
    throw new Error("There is no Chromium. Install Debian's package chromium, or set CHROMIUM_PATH.");
  return chromium.launch({
    executablePath: found,
    // The first two for root in a container; the others keep the browser from calling home.
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      "--no-first-run",
    ],
  });
}
