import { connect } from "node:net";
import { gzipSync } from "node:zlib";
import { getIntrospectionQuery } from "graphql";
import { createClient } from "graphql-ws";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import WebSocket from "ws";
import { ViewerDocument } from "../../src/client/generated/graphql.ts";
import { createTestClient, signUp, type TestUser } from "../kit/client.ts";
import { eventually, within } from "../kit/deadline.ts";
import { startTestNode, type TestNode } from "../kit/node.ts";
import { send, sendBytes } from "../kit/raw-http.ts";
import { recordStatements } from "../kit/statements.ts";

const JSON_TYPE = { "content-type": "application/json" };
const LOGOUT = "mutation { logout { __typename } }";

describe("GraphQL over HTTP", () => {
  let node: TestNode;
  let user: TestUser;
  beforeAll(async () => {
    node = await startTestNode("postgres", { settings: { ALLOWED_ORIGINS: "https://app.example.com" } });
    user = await signUp(node.url);
  });
  afterAll(() => node.stop());

  const cookie = () => ({ cookie: `session=${user.token}` });
  async function expectLoggedIn() {
    expect((await user.run(ViewerDocument)).data?.viewer?.id).toBe(user.userId);
  }
  const codeOf = (body: string) => JSON.parse(body).errors?.[0]?.extensions?.code;

  describe("a body that is not one JSON request", () => {
    test.each([
      ["half of it", '{"query":'],
      ["nothing", ""],
      ["null", "null"],
      ["a number", "1"],
      ["a text", '"x"'],
      ["an empty batch", "[]"],
      ["a batch", '[{"query":"{ __typename }"}]'],
      ["an object without a query", "{}"],
      ["a query that is a number", '{"query":1}'],
      ["variables that are a list", '{"query":"{ __typename }","variables":[1]}'],
      ["variables that are a text", '{"query":"{ __typename }","variables":"x"}'],
      ["a key that means nothing", '{"query":"{ __typename }","nothing":1}'],
      ["bytes that are no UTF-8", Buffer.from([0x7b, 0xff, 0x7d])],
    ])("such as %s is a bad request", async (_name, body) => {
      const headers = { ...JSON_TYPE, accept: "application/graphql-response+json" };
      const answer = await send(node.url, { headers, body });
      expect(answer.status).toBe(400);
      expect(codeOf(answer.body)).toBe("BAD_REQUEST");
      expect(answer.body).not.toContain("originalError");
    });

    test("over 1 MB is refused with 413, announced or not", async () => {
      const body = JSON.stringify({ query: `{ __typename } # ${"x".repeat(1_000_000)}` });
      expect((await send(node.url, { headers: JSON_TYPE, body })).status).toBe(413);
      const chunked = { ...JSON_TYPE, "transfer-encoding": "chunked" };
      expect((await send(node.url, { headers: chunked, body })).status).toBe(413);
    });

    test("with a byte order mark is read", async () => {
      const answer = await send(node.url, { headers: JSON_TYPE, body: '\ufeff{"query":"{ __typename }"}' });
      expect(JSON.parse(answer.body)).toEqual({ data: { __typename: "Query" } });
    });
  });

  describe("a form of any page (CSRF)", () => {
    const form = "form-data; name=";
    test.each([
      ["text/plain", JSON.stringify({ query: LOGOUT })],
      ["application/x-www-form-urlencoded", `query=${encodeURIComponent(LOGOUT)}`],
      ["application/graphql", LOGOUT],
      ["application/graphql+json", JSON.stringify({ query: LOGOUT })],
      ["application/json; charset=utf-7", JSON.stringify({ query: LOGOUT })],
      ["text/plain; application/json", JSON.stringify({ query: LOGOUT })],
      [
        "multipart/form-data; boundary=b",
        `--b\r\nContent-Disposition: ${form}"operations"\r\n\r\n${JSON.stringify({ query: LOGOUT })}\r\n--b--`,
      ],
      [undefined, JSON.stringify({ query: LOGOUT })],
    ])("with the content type %s is refused with 415 and executes nothing", async (type, body) => {
      const headers = { ...cookie(), ...(type ? { "content-type": type } : {}) };
      expect((await send(node.url, { headers, body })).status).toBe(415);
      await expectLoggedIn();
    });

    test("compressed is refused with 415", async () => {
      const headers = { ...JSON_TYPE, "content-encoding": "gzip" };
      const body = gzipSync(JSON.stringify({ query: "{ __typename }" }));
      expect((await send(node.url, { headers, body })).status).toBe(415);
    });

    test.each([
      [{ origin: "https://evil.example" }],
      [{ origin: "null" }],
      [{ origin: "https://app.example.com.evil.example" }],
      [{ origin: "http://app.example.com" }],
      [{ origin: "https://app.example.com:8443" }],
      [{ "sec-fetch-site": "cross-site" }],
      [{ "sec-fetch-site": "same-site" }],
    ])("from %j is refused with 403, without any CORS header", async (headers) => {
      const body = JSON.stringify({ query: LOGOUT });
      const answer = await send(node.url, { headers: { ...JSON_TYPE, ...cookie(), ...headers }, body });
      expect(answer.status).toBe(403);
      expect(codeOf(answer.body)).toBe("CROSS_SITE");
      expect(Object.keys(answer.headers).filter((name) => name.startsWith("access-control"))).toEqual([]);
      await expectLoggedIn();
    });

    test("from an allowed origin is answered, with that origin's CORS headers", async () => {
      const headers = { ...JSON_TYPE, origin: "https://app.example.com" };
      const answer = await send(node.url, { headers, body: '{"query":"{ __typename }"}' });
      expect(answer.status).toBe(200);
      expect(answer.headers).toMatchObject({
        "access-control-allow-origin": "https://app.example.com",
        "access-control-allow-credentials": "true",
      });
      expect(answer.headers.vary).toMatch(/origin/i);
    });

    test("preflights are answered for allowed origins only", async () => {
      const allowed = await send(node.url, {
        method: "OPTIONS",
        headers: { origin: "https://app.example.com" },
      });
      expect(allowed.status).toBe(204);
      expect(allowed.headers["access-control-allow-headers"]).toBe("content-type, authorization");
      expect(
        (await send(node.url, { method: "OPTIONS", headers: { origin: "https://evil.example" } })).status,
      ).toBe(403);
    });
  });

  describe("GET", () => {
    const path = (query: string) => `/graphql?query=${encodeURIComponent(query)}`;

    test("answers queries", async () => {
      const answer = await send(node.url, { method: "GET", path: path("{ __typename }") });
      expect(JSON.parse(answer.body)).toEqual({ data: { __typename: "Query" } });
    });

    test("never runs a mutation", async () => {
      const headers = { authorization: `Bearer ${user.token}` };
      const answer = await send(node.url, { method: "GET", path: path(LOGOUT), headers });
      expect(answer.status).toBe(405);
      await expectLoggedIn();
    });

    test.each([
      [{ "sec-fetch-site": "cross-site" }, 403],
      [{ "sec-fetch-site": "none" }, 403],
      [{ "sec-fetch-site": "same-origin" }, 200],
      [{}, 403],
    ])("with a cookie and %j is answered with %i", async (headers, status) => {
      const answer = await send(node.url, {
        method: "GET",
        path: path("{ viewer { id } }"),
        headers: { ...cookie(), ...headers },
      });
      expect(answer.status).toBe(status);
    });

    test("of a subscription by another site is refused", async () => {
      const headers = { ...cookie(), "sec-fetch-site": "cross-site", accept: "text/event-stream" };
      const query = path("subscription { sessionRevoked { reason } }");
      expect((await send(node.url, { method: "GET", path: query, headers })).status).toBe(403);
    });

    test("with a content type that is not JSON is refused", async () => {
      const headers = { "content-type": "message/rfc822" };
      expect((await send(node.url, { method: "GET", path: path("{ __typename }"), headers })).status).toBe(
        415,
      );
    });

    test("takes no token from the URL", async () => {
      const answer = await send(node.url, {
        method: "GET",
        path: `${path("{ viewer { id } }")}&access_token=${user.token}&token=${user.token}`,
      });
      expect(answer.body).not.toContain(user.userId);
    });
  });

  test.each(["PUT", "DELETE", "PATCH", "TRACE", "HEAD"])(
    "%s is refused with 405 and what is allowed",
    async (method) => {
      const answer = await send(node.url, { method, headers: JSON_TYPE });
      expect(answer.status).toBe(405);
      expect(answer.headers.allow).toBe("GET, POST, OPTIONS");
    },
  );

  describe("an operation that cannot be executed", () => {
    const run = (request: object) =>
      send(node.url, {
        headers: { ...JSON_TYPE, accept: "application/graphql-response+json" },
        body: JSON.stringify(request),
      });

    test.each<[string, object, string]>([
      ["a syntax error", { query: "{" }, "GRAPHQL_PARSE_FAILED"],
      ["5 000 levels", { query: `${"{a".repeat(5_000)}${"}".repeat(5_000)}` }, "GRAPHQL_PARSE_FAILED"],
      ["40 000 brackets", { query: "{".repeat(40_000) }, "GRAPHQL_PARSE_FAILED"],
      ["200 000 brackets", { query: "{".repeat(200_000) }, "LIMIT_EXCEEDED"],
      [
        "a comment of 60 000 characters",
        { query: `{ __typename } # ${"x".repeat(60_000)}` },
        "LIMIT_EXCEEDED",
      ],
      ["a list of 20 000 levels", { query: `{ user(id: ${"[".repeat(20_000)}` }, "GRAPHQL_PARSE_FAILED"],
      ["3 000 aliases", { query: `{${"a:__typename ".repeat(3_000)}}` }, "GRAPHQL_PARSE_FAILED"],
      ["an unknown field", { query: "{ nothing }" }, "GRAPHQL_VALIDATION_FAILED"],
      [
        "a field of the input that nobody knows",
        {
          query: `mutation { signUp(input: { role: ADMIN, email: "a@b.c", name: "n", password: "p", passwordConfirmation: "p" }) { __typename } }`,
        },
        "GRAPHQL_VALIDATION_FAILED",
      ],
      [
        "a fragment that holds itself",
        { query: "{ ...a } fragment a on Query { ...a }" },
        "GRAPHQL_VALIDATION_FAILED",
      ],
      [
        "two operations and no name",
        { query: "query A { __typename } query B { __typename }" },
        "OPERATION_RESOLUTION_FAILURE",
      ],
      [
        "the name of no operation",
        { query: "query A { __typename }", operationName: "B" },
        "OPERATION_RESOLUTION_FAILURE",
      ],
      [
        "a variable of another type",
        { query: "query ($id: ID!) { user(id: $id) { id } }", variables: { id: {} } },
        "BAD_REQUEST",
      ],
      ["a variable that is missing", { query: "query ($id: ID!) { user(id: $id) { id } }" }, "BAD_REQUEST"],
      [
        "a hundred logins by aliases",
        {
          query: `mutation { ${Array.from({ length: 100 }, (_, index) => `a${index}: login(input: { email: "a@b.c", password: "p" }) { __typename }`).join(" ")} }`,
        },
        "LIMIT_EXCEEDED",
      ],
      [
        "a login behind a fragment behind a login",
        {
          query: `mutation { login(input: { email: "a@b.c", password: "p" }) { __typename } ...more }
            fragment more on Mutation { ... { again: login(input: { email: "a@b.c", password: "q" }) { __typename } } }`,
        },
        "LIMIT_EXCEEDED",
      ],
      [
        "51 aliases",
        { query: `{ ${Array.from({ length: 51 }, (_, index) => `a${index}: __typename`).join(" ")} }` },
        "LIMIT_EXCEEDED",
      ],
      ["51 directives", { query: `{ viewer { ${"id @include(if: true) ".repeat(51)} } }` }, "LIMIT_EXCEEDED"],
      [
        "13 levels",
        { query: `{ viewer ${"{ sessions { user ".repeat(6)}{ id }${"} }".repeat(6)} }` },
        "LIMIT_EXCEEDED",
      ],
      [
        "a chain of fragments that doubles forty times",
        {
          query: `{ viewer { ...f0 } } ${Array.from({ length: 40 }, (_, index) => `fragment f${index} on User { id ...f${index + 1} ...f${index + 1} }`).join(" ")} fragment f40 on User { id }`,
        },
        "LIMIT_EXCEEDED",
      ],
    ])("such as %s is a bad request", async (_name, request, code) => {
      const answer = await run(request);
      expect({ status: answer.status, code: codeOf(answer.body) }).toEqual({ status: 400, code });
    });
  });

  test.each<[string, string, object]>([
    ["lists in lists", `{ viewer ${"{ sessions { user ".repeat(4)}{ id }${"} }".repeat(4)} }`, {}],
    [
      "lists in lists by fragments",
      `{ viewer { ...a } } fragment a on User { sessions { ...b } }
       fragment b on Session { user { sessions { user { sessions { user { sessions { id } } } } } } }`,
      {},
    ],
    [
      "pages whose size is a variable",
      `query ($first: Int) { users(first: $first) { edges { node { sessions { user { sessions { id } } } } } } }`,
      { first: 100 },
    ],
  ])("an operation that would cost too much is not executed: %s", async (_what, query, variables) => {
    const { data, errors } = await user.run(query, variables);
    expect(errors).toMatchObject([{ extensions: { code: "LIMIT_EXCEEDED" } }]);
    expect([null, { viewer: null }]).toContainEqual(data);
  });

  test("an operation as deep as a page of everybody's sessions is executed", async () => {
    const query =
      "{ users { edges { node { sessions { user { id sessions { id device } } } } } pageInfo { hasNextPage } } }";
    expect((await user.run(query)).errors).toMatchObject([{ extensions: { code: "FORBIDDEN" } }]);
  });

  test("the introspection query of every tool is executed", async () => {
    expect((await user.run(getIntrospectionQuery({ inputValueDeprecation: true }))).errors).toEqual([]);
  });

  describe("credentials that are none", () => {
    const anonymous = { status: 200, data: { viewer: null }, errors: [] };
    test.each([
      "Bearer",
      "Bearer  ",
      "Bearer x",
      "Bearer a b",
      "Basic dXNlcjpwYXNz",
      "%E0%A4%A",
      "lls_",
      `Bearer lls_${"0".repeat(49)}`,
      `Bearer lls_${"x".repeat(7_000)}`,
    ])("make an anonymous viewer: %.40s", async (authorization) => {
      expect(await createTestClient(node.url, { authorization }).run(ViewerDocument)).toMatchObject(
        anonymous,
      );
    });

    test("make an anonymous viewer: a token with one character changed, in another case, or twice", async () => {
      const last = user.token.at(-1) === "0" ? "1" : "0";
      const changed = [
        user.token.slice(0, -1) + last,
        user.token.toLowerCase(),
        `${user.token},${user.token}`,
      ];
      for (const token of changed) {
        const client = createTestClient(node.url, { authorization: `Bearer ${token}` });
        expect(await client.run(ViewerDocument)).toMatchObject(anonymous);
      }
      const body = '{"query":"{ viewer { id } }"}';
      const header = `Authorization: Bearer ${user.token}\r\n`;
      const head = `POST /graphql HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nConnection: close\r\n`;
      const twice = `${head}Content-Length: ${body.length}\r\n${header}${header}\r\n${body}`;
      expect(await sendBytes(node.url, twice)).toContain('{"data":{"viewer":null}}');
    });

    test("next to good ones make an anonymous viewer: the header counts, the cookie does not", async () => {
      const client = createTestClient(node.url, { authorization: "Bearer nonsense", ...cookie() });
      expect(await client.run(ViewerDocument)).toMatchObject(anonymous);
    });

    test("cost no query, unless their checksum is right", async () => {
      const { onQuery, take } = recordStatements();
      const counted = await startTestNode("postgres", { onQuery });
      try {
        await createTestClient(counted.url).run(ViewerDocument);
        take();
        for (const token of [`lls_${"0".repeat(49)}`, "x", user.token.toLowerCase()]) {
          await createTestClient(counted.url, { authorization: `Bearer ${token}` }).run(ViewerDocument);
        }
        expect(take()).toEqual([]);
        await createTestClient(counted.url, { authorization: `Bearer ${user.token}` }).run(ViewerDocument);
        expect(take()).not.toEqual([]);
      } finally {
        await counted.stop();
      }
    });
  });

  describe("the routes", () => {
    test.each([
      ["/healthz", 200],
      ["/readyz", 200],
      ["/nothing", 404],
      ["/graphql/more", 404],
    ])("%s answers %i", async (path, status) => {
      expect((await send(node.url, { method: "GET", path })).status).toBe(status);
    });

    test.each(["/", "/sign-up", "/reset-password", "/report-session"])(
      "%s is a page of the dashboard, which loads nothing inline and nothing from elsewhere",
      async (path) => {
        const answer = await send(node.url, { method: "GET", path });
        expect(answer.status).toBe(200);
        expect(answer.headers["content-security-policy"]).toContain("script-src 'self';");
        expect(answer.body).not.toMatch(/<script(?![^>]*src="\/assets\/)/);
      },
    );

    test("the dashboard's assets are kept by browsers for good, and come compressed to those who take it", async () => {
      const { body } = await send(node.url, { method: "GET", path: "/" });
      const script = /src="(\/assets\/[^"]+\.js)"/.exec(body)?.[1] ?? "";
      const headers = { "accept-encoding": "gzip" };
      const answer = await send(node.url, { method: "GET", path: script, headers });
      expect(answer.status).toBe(200);
      expect(answer.headers["cache-control"]).toContain("immutable");
      expect(answer.headers["content-encoding"]).toBe("gzip");
      expect((await send(node.url, { method: "GET", path: "/assets/../../package.json" })).status).toBe(404);
      expect((await send(node.url, { method: "POST", path: "/" })).status).toBe(405);
    });

    test("/graphql is GraphiQL for a browser, from this origin alone and not in a frame", async () => {
      const answer = await send(node.url, {
        method: "GET",
        headers: { accept: "text/html,*/*", "sec-fetch-site": "none" },
      });
      expect(answer.status).toBe(200);
      expect(answer.headers["content-security-policy"]).toContain("frame-ancestors 'none'");
      expect(answer.headers["content-security-policy"]).toContain("default-src 'none'");
      expect(answer.body).toContain("GraphiQL");
      const zipped = await send(node.url, {
        method: "GET",
        headers: { accept: "text/html", "accept-encoding": "gzip" },
      });
      expect(zipped.headers["content-encoding"]).toBe("gzip");
    });

    test.each([
      ["a Host with a path", "GET /readyz HTTP/1.1\r\nHost: a/b\r\nConnection: close\r\n\r\n"],
      [
        "a Host with a port that is none",
        "GET /readyz HTTP/1.1\r\nHost: a:99999\r\nConnection: close\r\n\r\n",
      ],
      ["no Host", "GET /readyz HTTP/1.1\r\nConnection: close\r\n\r\n"],
      ["a path that is none", "GET //:0 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"],
    ])("%s is a bad request", async (_name, bytes) => {
      expect(await sendBytes(node.url, bytes)).toMatch(/^HTTP\/1.1 400 Bad Request\r\n/);
    });

    test("no answer may be kept, guessed at, or framed", async () => {
      const answer = await send(node.url, { headers: JSON_TYPE, body: '{"query":"{ __typename }"}' });
      expect(answer.headers).toMatchObject({
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "referrer-policy": "no-referrer",
      });
    });
  });

  test.each([
    ["/"],
    ["/sign-up"],
    ["/users"],
    ["/assets/none.js"],
    ["/graphql"],
    ["/healthz"],
    ["/readyz"],
    ["/auth/verify"],
    ["/events/poll"],
    ["/.well-known/jwks.json"],
    ["/.well-known/ssf-configuration"],
    ["/nothing"],
  ])("%s has the headers that keep browsers from harm", async (path) => {
    for (const accept of ["*/*", "text/html"]) {
      const { headers } = await send(node.url, { method: "GET", path, headers: { accept } });
      expect(headers).toMatchObject({
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "referrer-policy": "no-referrer",
        "cross-origin-opener-policy": "same-origin",
        "permissions-policy": expect.stringContaining("camera=()"),
        "content-security-policy": expect.stringMatching(/default-src 'none'.*frame-ancestors 'none'/),
        "cross-origin-resource-policy": path.startsWith("/.well-known/") ? "cross-origin" : "same-origin",
      });
      expect(headers["strict-transport-security"]).toBeUndefined();
    }
  });

  test("a service that is reached by https says that it always is", async () => {
    const secure = await startTestNode("postgres", { settings: { PUBLIC_URL: "https://login.example.com" } });
    try {
      const { headers } = await send(secure.url, { method: "GET", path: "/" });
      expect(headers["strict-transport-security"]).toBe("max-age=31536000; includeSubDomains");
    } finally {
      await secure.stop();
    }
  });

  test("introspection can be turned off, and then no error suggests a name, over WebSocket neither", async () => {
    const closed = await startTestNode("postgres", { settings: { INTROSPECTION: "false" } });
    try {
      const someone = await signUp(closed.url);
      const ask = async (query: string) => (await someone.run(query)).errors[0];
      for (const query of ["{ __schema { types { name } } }", '{ __type(name: "User") { name } }']) {
        expect((await ask(query))?.extensions?.["code"]).toBe("GRAPHQL_VALIDATION_FAILED");
      }
      expect((await ask("{ viewe { id } }"))?.message).toBe('Cannot query field "viewe" on type "Query".');
      expect(await ask("{ viewer { __typename id } }")).toBeUndefined();
      const errors = await new Promise<readonly { readonly message: string }[]>((resolve) => {
        const client = createClient({
          url: `${closed.url.replace("http", "ws")}/graphql`,
          webSocketImpl: WebSocket,
          connectionParams: { authorization: `Bearer ${someone.token}` },
        });
        client.subscribe(
          { query: "{ viewe { id } }" },
          { next() {}, complete() {}, error: (error) => resolve(error as { message: string }[]) },
        );
      });
      expect(errors.map(({ message }) => message)).toEqual(['Cannot query field "viewe" on type "Query".']);
      const { errors: open } = await user.run("{ viewe { id } }");
      expect(open[0]?.message).toContain("Did you mean");
    } finally {
      await closed.stop();
    }
  });

  test("GraphiQL can be turned off, and then no page leads to it", async () => {
    const without = await startTestNode("postgres", { settings: { GRAPHIQL: "false" } });
    try {
      const page = await send(without.url, { method: "GET", headers: { accept: "text/html" } });
      expect(page.status).toBe(404);
      const dashboardOf = async (url: string) => (await send(url, { method: "GET", path: "/" })).body;
      expect(await dashboardOf(node.url)).toContain('href="/graphql"');
      expect(await dashboardOf(without.url)).not.toContain("/graphql");
      await signUp(without.url);
    } finally {
      await without.stop();
    }
  });

  test.each([
    ["headers", "POST /graphql HTTP/1.1\r\nHost: a\r\n"],
    [
      "a body",
      "POST /graphql HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n",
    ],
  ])("who takes for ever to send %s is answered with 408 and hung up on", async (_what, beginning) => {
    const { hostname, port } = new URL(node.url);
    const socket = connect(Number(port), hostname);
    socket.on("error", () => {});
    let answer = "";
    socket.on("data", (chunk) => {
      answer += chunk;
    });
    socket.write(beginning);
    // A byte now and then does not help: the whole of it has to be there.
    const drip = setInterval(() => socket.write("a"), 1_000);
    onTestFinished(() => {
      clearInterval(drip);
      socket.destroy();
    });
    await within(25_000, "the end", new Promise((resolve) => socket.once("close", resolve)));
    expect(answer).toMatch(/^HTTP\/1\.1 408 Request Timeout\r\n/);
  });

  test("each request has an id, in its answer and in what is logged of it; only a proxy of ours may choose it", async () => {
    const trusting = await startTestNode("postgres", { settings: { TRUST_PROXY: "loopback" } });
    onTestFinished(() => trusting.stop());
    const given = { ...JSON_TYPE, "x-request-id": "from-the-proxy-1" };
    const ask = async ({ url }: TestNode, headers = given, path = "/graphql?a=secret") =>
      (await send(url, { headers, path, body: '{"query":"{ viewer { id } }"}' })).headers["x-request-id"];
    const linesOf = ({ logged }: TestNode, id: unknown) =>
      logged.map((line) => JSON.parse(line)).filter((line) => line.requestId === id);

    expect(await ask(trusting)).toBe("from-the-proxy-1");
    await eventually("it is logged", () => linesOf(trusting, "from-the-proxy-1").length > 0);
    expect(linesOf(trusting, "from-the-proxy-1")).toMatchObject([
      { method: "POST", path: "/graphql", status: 200 },
    ]);
    expect(trusting.logged.join("")).not.toContain("secret");
    const made = await ask(node);
    expect(made).toMatch(/^[\da-f-]{36}$/);
    await eventually("it is logged", () => linesOf(node, made).length > 0);
    expect(await ask(trusting, { ...given, "x-request-id": "a b\tc" })).toMatch(/^[\da-f-]{36}$/);
  });

  test("what goes wrong inside is logged and not told", async () => {
    const broken = await startTestNode("postgres", {
      wrapDirectory: (directory) => ({
        ...directory,
        isOnline() {
          throw new Error("select secret from 10.0.0.1");
        },
      }),
    });
    try {
      const someone = await signUp(broken.url);
      const answer = await someone.run("{ mySessions { online } }");
      expect(answer.errors).toMatchObject([
        {
          message: "Unexpected error.",
          extensions: { code: "INTERNAL_SERVER_ERROR" },
          path: ["mySessions", 0, "online"],
        },
      ]);
      expect(JSON.stringify(answer)).not.toContain("10.0.0.1");
      const fault = broken.logged.find((line) => line.includes("10.0.0.1")) ?? "{}";
      expect(JSON.parse(fault)).toMatchObject({ requestId: answer.headers.get("x-request-id") });
    } finally {
      await broken.stop();
    }
  });

  test("no token and no password stands in the node's log", () => {
    expect(node.logged.join("")).not.toMatch(/lls_[0-9A-Za-z]{20}/);
    expect(node.logged.join("")).not.toContain(user.password);
  });
});
