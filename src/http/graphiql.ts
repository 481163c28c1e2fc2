import type { IncomingMessage, ServerResponse } from "node:http";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { renderGraphiQL } from "@graphql-yoga/render-graphiql";

/** The page has all its scripts inline and runs workers from blobs; nothing comes from, or goes to, elsewhere. */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'unsafe-inline' 'unsafe-eval' blob:",
  "worker-src blob:",
  "style-src 'unsafe-inline'",
  "img-src 'self' data:",
  "font-src data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

/** Tabs that walk a newcomer through the service, in order. */
const TABS = [
  `# 1. Log in. The first administrator's password was printed when the service started;
#    or sign up: mutation { signUp(input: { email: "...", name: "...", password: "...", passwordConfirmation: "..." }) { __typename } }
#    The session is now in a cookie of this browser, which no script can read.
mutation LogIn {
  login(input: { email: "admin@localhost", password: "" }) {
    __typename
    ... on LoginSuccess {
      user { name role }
      session { id device expiresAt }
    }
    ... on Error { message }
  }
}
`,
  `# 2. The sessions of the viewer: this one first. Log in with another browser too, and it appears.
query MySessions {
  viewer { name email role }
  mySessions { id device current online ipAddress lastSeenAt }
}
`,
  `# 3. Wait for the end. Press play, leave this running, and go on with the next tab.
#    The event arrives over a WebSocket the moment the session is revoked; then the server closes it.
subscription WaitForRevocation {
  sessionRevoked(scope: MINE) { sessionId reason message current revokedAt }
}
`,
  `# 4. Revoke: all of your sessions, this one too. Then look at the tab that waits.
#    One session only: revokeSession(id: "...") { __typename }
mutation Revoke {
  revokeAllSessions {
    __typename
    ... on RevokeAllSessionsSuccess { revokedCount }
    ... on Error { message }
  }
}
`,
] as const;

export interface Page {
  readonly serve: (request: IncomingMessage, response: ServerResponse) => Promise<void>;
}

/** Whether a browser asks for a page to look at, rather than for an answer to a query. */
export function wantsPage(request: IncomingMessage, url: URL): boolean {
  const accepts = request.headers.accept ?? "";
  return request.method === "GET" && accepts.includes("text/html") && !url.searchParams.has("query");
}

/** GraphiQL from the package, with everything inline: 9 MB, so it is rendered and compressed once. */
export function createGraphiQLPage(): Page {
  let rendered: Promise<{ readonly plain: Buffer; readonly zipped: Buffer }> | undefined;

  async function render() {
    const plain = Buffer.from(
      renderGraphiQL({
        title: "live-logout",
        endpoint: "/graphql",
        credentials: "same-origin",
        subscriptionsProtocol: "WS",
        defaultQuery: TABS[0],
        defaultTabs: TABS.map((query) => ({ query })),
      }),
    );
    return { plain, zipped: await promisify(gzip)(plain) };
  }

  return {
    async serve(request, response) {
      rendered ??= render();
      const { plain, zipped } = await rendered;
      const isZipped = /\bgzip\b/.test(request.headers["accept-encoding"] ?? "");
      response.writeHead(200, {
        "content-type": "text/html; charset=utf-8",
        "content-security-policy": CONTENT_SECURITY_POLICY,
        "cache-control": "private, max-age=3600",
        vary: "accept, accept-encoding",
        ...(isZipped ? { "content-encoding": "gzip" } : {}),
      });
      response.end(isZipped ? zipped : plain);
    },
  };
}
