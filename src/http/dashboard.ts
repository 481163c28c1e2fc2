import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { join } from "node:path";
import sirv from "sirv";

const DIST = join(import.meta.dirname, "../dashboard/dist");
const YEAR_S = 31_536_000;

/** The pages of the dashboard; links in mails lead to some of them. */
const PAGES: ReadonlySet<string> = new Set([
  "/",
  "/devices",
  "/users",
  "/sessions",
  "/audit",
  "/sign-up",
  "/forgot-password",
  "/reset-password",
  "/report-session",
  "/confirm-sign-up",
]);

/** How a page knows that there is GraphiQL to lead to. */
const GRAPHIQL_LINK = '<link rel="alternate" href="/graphql" title="GraphiQL" />';

/** The page of one user. */
const USER_PAGE = /^\/users\/[0-9a-f-]{36}$/;

/** Everything comes from this service. Styles are inline because the component library computes some. */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "font-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
].join("; ");

export interface Dashboard {
  /** Whether this path is the dashboard's. */
  readonly has: (path: string) => boolean;
  readonly serve: (request: IncomingMessage, response: ServerResponse, path: string) => Promise<void>;
}

/** The built dashboard. Undefined if it was not built, as when npm ran without scripts. */
export function openDashboard(options: { readonly hasGraphiQL: boolean }): Dashboard | undefined {
  if (!existsSync(join(DIST, "index.html"))) return undefined;
  const isPage = (path: string) => PAGES.has(path) || USER_PAGE.test(path);
  // Their names have hashes of what they hold, so they never change.
  const assets = sirv(DIST, { immutable: true, maxAge: YEAR_S, gzip: true, dotfiles: false });

  return {
    has: (path) => isPage(path) || path.startsWith("/assets/"),
    async serve(request, response, path) {
      if (request.method !== "GET" && request.method !== "HEAD") {
        response.writeHead(405, { allow: "GET, HEAD" }).end();
      } else if (isPage(path)) {
        const page = await readFile(join(DIST, "index.html"), "utf8");
        response
          .writeHead(200, {
            "content-type": "text/html; charset=utf-8",
            "content-security-policy": CONTENT_SECURITY_POLICY,
            "cache-control": "no-cache",
          })
          .end(options.hasGraphiQL ? page : page.replace(GRAPHIQL_LINK, ""));
      } else {
        assets(request, response, () => {
          response
            .writeHead(404, { "content-type": "text/plain; charset=utf-8" })
            .end("There is nothing here.\n");
        });
      }
    },
  };
}
