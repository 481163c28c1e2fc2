import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import type { Browser } from "playwright-core";
import { publint } from "publint";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { bundle } from "../kit/bundle.ts";
import { hasNoChromium, launchChromium } from "../kit/chromium.ts";
import { signUp } from "../kit/client.ts";
import { startTestNode, type TestNode } from "../kit/node.ts";
import { findTypeProblems, installPacked, type ScratchProject, type TypeProblem } from "../kit/packed.ts";

const PAGE = await readFile(join(import.meta.dirname, "../../docs/sdk.md"), "utf8");

/** The quick starts of the page, by their headings. */
const QUICK_STARTS = [...PAGE.matchAll(/## ([^\n]+)\n\n```jsx\n(.*?)```/gs)].map(
  ([, name = "", code = ""]) => [name, code] as const,
);

let project: ScratchProject;
beforeAll(async () => {
  project = await installPacked("client");
});
afterAll(() => project.remove());

describe("the SDK's package", () => {
  test("holds the five entries with their types, and nothing of the service", () => {
    for (const entry of ["core", "react", "apollo", "urql", "relay"]) {
      expect(project.files).toContain(`dist/${entry}.js`);
      expect(project.files).toContain(`dist/${entry}.d.ts`);
    }
    expect(project.files.filter((file) => /\.(ts|tsx)$/.test(file) && !file.endsWith(".d.ts"))).toEqual([]);
  });

  test("satisfies publint", async () => {
    const { messages } = await publint({ pkgDir: join(project.folder, "node_modules/@live-logout/client") });
    expect(messages).toEqual([]);
  });

  test("has types that resolve, for bundlers and for Node (arethetypeswrong)", async () => {
    const problems = await findTypeProblems(project.tarball);
    // It is ESM alone, and it has entries that Node 10's resolution knows nothing of.
    const isExpected = ({ kind, resolutionKind = "" }: TypeProblem) =>
      /^(CJSResolvesToESM|NoResolution)$/.test(kind) && /^node(10|16-cjs)$/.test(resolutionKind);
    expect(problems.filter((problem) => !isExpected(problem))).toEqual([]);
    expect(problems.length).toBeGreaterThan(0);
  });

  test("has a core under 8 kB with graphql-ws", async () => {
    const core = await bundle(join(project.folder, "node_modules/@live-logout/client/dist/core.js"), {
      minify: true,
    });
    expect(gzipSync(core).length).toBeLessThan(8_000);
  });
});

/** An app that writes down how often, and why, it is told of a session's end. */
const TOLD = `
import { createSessionClient } from "@live-logout/client";
import { SessionProvider, SignedIn, useRevoked } from "@live-logout/client/react";
import { StrictMode, useState } from "react";
import { createRoot } from "react-dom/client";

const client = createSessionClient({ url: "https://login.example.com/graphql" });

function App() {
  const [told, setTold] = useState([]);
  useRevoked((cause) => setTold([...told, cause.reason]));
  return <><p role="status">{"told: " + told.join()}</p><SignedIn>signed in</SignedIn></>;
}

createRoot(document.getElementById("root")).render(
  <StrictMode><SessionProvider client={client}><App /></SessionProvider></StrictMode>,
);`;

describe.skipIf(hasNoChromium)("the quick starts of docs/sdk.md", () => {
  let node: TestNode;
  let app: Server;
  let appUrl: string;
  let browser: Browser;
  const scripts = new Map<string, string>();
  beforeAll(async () => {
    app = createServer((request, response) => {
      const script = scripts.get(request.url ?? "");
      response.writeHead(200, { "content-type": script ? "text/javascript" : "text/html; charset=utf-8" });
      const name = request.url?.slice(1);
      response.end(
        script ??
          `<!doctype html><title>App</title><div id="root"></div><script type="module" src="/${name}.js"></script>`,
      );
    });
    app.listen(0, "127.0.0.1");
    await once(app, "listening");
    appUrl = `http://127.0.0.1:${(app.address() as AddressInfo).port}`;
    node = await startTestNode("postgres", { settings: { ALLOWED_ORIGINS: appUrl } });
    browser = await launchChromium();
  });
  afterAll(async () => {
    await browser.close();
    await node.stop();
    app.close();
  });

  /** The page of an app, open in a browser of its own that has the session of a user. */
  async function openApp(name: string, code: string) {
    const id = name.replaceAll(/\W/g, "");
    const file = join(project.folder, `${id}.jsx`);
    await writeFile(file, code.replaceAll("https://login.example.com", node.url));
    scripts.set(`/${id}.js`, await bundle(file));
    const user = await signUp(node.url);
    const context = await browser.newContext();
    onTestFinished(() => context.close());
    context.setDefaultTimeout(10_000);
    await context.addCookies([
      { name: "session", value: user.token, url: node.url, httpOnly: true, sameSite: "Strict" },
    ]);
    const page = await context.newPage();
    const errors: string[] = [];
    page.on("pageerror", (error) => errors.push(String(error)));
    await page.goto(`${appUrl}/${id}`);
    return { page, user, errors };
  }

  test.each(QUICK_STARTS)("run as they stand, for %s: signed in, then told at once", async (name, code) => {
    const { page, user, errors } = await openApp(name, code);
    await page.getByText("Hello Ann").waitFor();
    await node.sql("UPDATE users SET role = 'SUPPORT' WHERE id = $1", [user.userId]);
    await page.getByRole("status").waitFor();
    expect(errors).toEqual([]);
  });

  test("are told once by useRevoked, in Strict Mode too", async () => {
    const { page, user, errors } = await openApp("useRevoked", TOLD);
    await page.getByText("signed in").waitFor();
    await node.sql("UPDATE users SET role = 'SUPPORT' WHERE id = $1", [user.userId]);
    await page
      .getByRole("status")
      .filter({ hasText: /^told: ROLE_CHANGED$/ })
      .waitFor();
    expect(await page.getByText("signed in").count()).toBe(0);
    expect(errors).toEqual([]);
  });
});
