import type { IncomingMessage, ServerResponse } from "node:http";
import { promisify } from "node:util";
import { gzip } from "node:zlib";

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

/** Tabs that walk a newcomer through the service, in order: first what everybody may do, then what operators may. */
const TABS = [
  `# 1. Log in. The password was printed at the first start.
#    Or sign up: there is a mutation signUp.
#    The session is kept in a cookie that no script can read.
mutation LogIn {
  login(
    input: {
      email: "admin@localhost"
      password: ""
    }
  ) {
    __typename
    ... on LoginSuccess {
      user { name role }
      session { id device expiresAt }
    }
    ... on Error { message }
  }
}
`,
  `# 2. Your sessions, this one first. Log in with another
#    browser too, and it appears here.
query MySessions {
  viewer { name email role }
  mySessions { id device current online ipAddress lastSeenAt }
}
`,
  `# 3. Wait for the end of a session: press play and leave
#    this running. The event comes over a WebSocket.
#    Then open this page in another tab of the browser
#    and go on there with 4.
subscription WaitForRevocation {
  sessionRevoked(scope: MINE) {
    sessionId
    reason
    message
    current
    revokedAt
  }
}
`,
  `# 4. Revoke all your sessions, then look at the tab that
#    waits. For one session only there is revokeSession.
mutation Revoke {
  revokeAllSessions {
    __typename
    ... on RevokeAllSessionsSuccess { revokedCount }
    ... on Error { message }
  }
}
`,
  `# 5. For SUPPORT and ADMIN: who is signed in, and how much
#    is going on.
query LookAround {
  statistics(intervals: 6) {
    users activeSessions connectedSessions
    intervals { start signIns revocations { reason count } }
  }
  users(first: 10) {
    totalCount
    edges { node { id name email role status } }
  }
}
`,
  `# 6. For SUPPORT and ADMIN: the log as it grows. Give the id
#    of the last event as "after" to go on from there.
subscription FollowTheLog {
  sessionEvents {
    id at type reason
    user { name }
    actor { name }
    session { device ipAddress }
  }
}
`,
  `# 7. For ADMIN: change a role, which ends all sessions of
#    that user at once. Take an id from 5.
mutation ChangeRole {
  changeUserRole(userId: "", role: SUPPORT) {
    __typename
    ... on UserSuccess { revokedCount user { name role } }
    ... on Error { message }
  }
}
`,
] as const;

export interface Page {
  readonly serve: (request: IncomingMessage, response: ServerResponse) => Promise<void>;
}

/** Whether a browser asks for a page to look at. A link may bring a query, which the page then shows. */
export function wantsPage(request: IncomingMessage): boolean {
  return request.method === "GET" && (request.headers.accept ?? "").includes("text/html");
}

/** GraphiQL from the package, with everything inline: 9 MB, so it is loaded, rendered and compressed once, and when somebody asks. */
export function createGraphiQLPage(): Page {
  let rendered: Promise<{ readonly plain: Buffer; readonly zipped: Buffer }> | undefined;

  async function render() {
    const { renderGraphiQL } = await import("@graphql-yoga/render-graphiql");
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
