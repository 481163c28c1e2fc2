import { randomUUID } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readConfig } from "../../src/config.ts";
import { logIn, signUp, type TestUser } from "../kit/client.ts";
import { within } from "../kit/deadline.ts";
import { ADMIN, startTestNode, type TestNode } from "../kit/node.ts";
import { send, sendBytes } from "../kit/raw-http.ts";
import { openRawWebSocket, type RawOptions, type RawWebSocket } from "../kit/raw-websocket.ts";

/** What a client may send by mistake or on purpose, each with its one expected answer. */
describe("bad input", () => {
  let node: TestNode;
  let user: TestUser;
  let admin: TestUser;
  let other: TestUser;
  beforeAll(async () => {
    node = await startTestNode("postgres", { settings: { TRUST_PROXY: "loopback" } });
    user = await signUp(node.url);
    other = await signUp(node.url);
    admin = await logIn(node.url, ADMIN);
  });
  afterAll(() => node.stop());

  const JSON_TYPE = { "content-type": "application/json" };
  const VIEWER = '{"query":"{ viewer { id } }"}';

  type Asked = () => Promise<unknown>;
  /** The status, with the code of the error if there is one. */
  const http =
    (options: Parameters<typeof send>[1]): Asked =>
    async () => {
      const { status, body } = await send(node.url, options);
      const code = /"code":"(\w+)"/.exec(body)?.[1];
      return code ? `${status} ${code}` : status;
    };
  const post = (body: string | Buffer, headers = {}): Asked =>
    http({ body, headers: { ...JSON_TYPE, accept: "application/graphql-response+json", ...headers } });
  /** Whose the request was taken for. */
  const viewer =
    (headers: () => Record<string, string | string[]>): Asked =>
    async () => {
      const { status, body } = await send(node.url, {
        body: VIEWER,
        headers: { ...JSON_TYPE, ...headers() },
      });
      return status === 200 ? (JSON.parse(body).data.viewer?.id ?? "anonymous") : status;
    };
  const bytes =
    (text: string): Asked =>
    async () =>
      Number(/^HTTP\/1.1 (\d+)/.exec(await sendBytes(node.url, text))?.[1]);
  /** The type of the result, or the code of the error. */
  const field =
    (
      document: string,
      variables: () => Record<string, unknown> = () => ({}),
      as: () => TestUser = () => user,
    ): Asked =>
    async () => {
      const { data, errors } = await as().run(document, variables());
      if (errors[0]) return errors[0].extensions?.["code"];
      const [result] = Object.values(data as Record<string, { __typename?: string; totalCount?: number }>);
      return result?.__typename ?? result?.totalCount ?? result;
    };
  /** The code that the socket is closed with, or the type of the first answer. */
  const socket =
    (talk: (client: RawWebSocket) => unknown, options: RawOptions = {}): Asked =>
    async () => {
      const client = await openRawWebSocket(node.url, options);
      try {
        if (!client.status.includes("101")) return Number(/ (\d{3}) /.exec(client.status)?.[1]);
        await talk(client);
        const close = client.next("close").then((item) => (item.kind === "close" ? item.code : 0));
        const answer = client.next("next").then(() => "next");
        const error = client.next("error").then(() => "error");
        return await Promise.any([close, answer, error]);
      } finally {
        client.socket.destroy();
      }
    };
  const init = (client: RawWebSocket, payload: unknown = { authorization: `Bearer ${user.token}` }) =>
    client.send({ type: "connection_init", payload });
  const initialised = async (client: RawWebSocket) => {
    init(client);
    await client.next("connection_ack");
  };
  const initialisedSocket = (talk: (client: RawWebSocket) => unknown) =>
    socket(async (client) => {
      await initialised(client);
      await talk(client);
    });
  const subscribe = (client: RawWebSocket, id: unknown, query = "{ viewer { id } }") =>
    client.send({ type: "subscribe", id, payload: { query } });

  const LOGIN = "mutation ($input: LoginInput!) { login(input: $input) { __typename } }";
  const SIGN_UP = "mutation ($input: SignUpInput!) { signUp(input: $input) { __typename } }";
  const REVOKE = "mutation ($id: ID!) { revokeSession(id: $id) { __typename } }";
  const EVENTS =
    "query ($first: Int, $after: String) { sessionEvents(first: $first, after: $after) { totalCount } }";
  const RESET = "mutation ($input: ResetPasswordInput!) { resetPassword(input: $input) { __typename } }";
  const BULK =
    "mutation ($filter: SessionFilter!) { revokeSessions(filter: $filter, dryRun: true) { ... on RevokeAllSessionsSuccess { totalCount: revokedCount } } }";
  const signUpInput = (changes: Record<string, unknown>) => () => {
    const password = "a password of theirs";
    const input = { email: `${randomUUID()}@example.com`, name: "Ann", password, ...changes };
    return { input: { passwordConfirmation: input.password, ...input } };
  };

  const rows: [what: string, ask: Asked, answer: unknown][] = [
    // Bodies.
    ["half a JSON text", post('{"query":'), "400 BAD_REQUEST"],
    ["no body", post(""), "400 BAD_REQUEST"],
    ["null", post("null"), "400 BAD_REQUEST"],
    ["a batch of a hundred logins", post(`[${Array(100).fill(VIEWER).join()}]`), "400 BAD_REQUEST"],
    ["variables that are a list", post('{"query":"{ __typename }","variables":[1]}'), "400 BAD_REQUEST"],
    ["JSON nested 100 000 deep", post(`{"query":${"[".repeat(100_000)}`), "400 BAD_REQUEST"],
    ["bytes that are no UTF-8", post(Buffer.from([0x7b, 0xff, 0x7d])), "400 BAD_REQUEST"],
    ["text/plain", post(VIEWER, { "content-type": "text/plain" }), "415 BAD_REQUEST"],
    [
      "a form",
      post("query=mutation{logout}", { "content-type": "application/x-www-form-urlencoded" }),
      "415 BAD_REQUEST",
    ],
    [
      "multipart with a map to __proto__",
      post('--x\r\ncontent-disposition: form-data; name="map"\r\n\r\n{"0":["__proto__.x"]}\r\n--x--', {
        "content-type": "multipart/form-data; boundary=x",
      }),
      "415 BAD_REQUEST",
    ],
    [
      "application/graphql",
      post("{ viewer { id } }", { "content-type": "application/graphql" }),
      "415 BAD_REQUEST",
    ],
    [
      "another charset",
      post(VIEWER, { "content-type": "application/json; charset=utf-7" }),
      "415 BAD_REQUEST",
    ],
    ["a compressed body", post(VIEWER, { "content-encoding": "gzip" }), "415 BAD_REQUEST"],
    [
      "a body of more than 1 MB",
      post(`{"query":"#${"x".repeat(1_000_001)}"}`),
      "413 REQUEST_ENTITY_TOO_LARGE",
    ],
    // Requests.
    [
      "a mutation by GET",
      http({ method: "GET", path: "/graphql?query=mutation{logout{__typename}}" }),
      "405 BAD_REQUEST",
    ],
    ["HEAD", http({ method: "HEAD" }), 405],
    ["an answer that is to be a picture", post(VIEWER, { accept: "image/png" }), 406],
    ["headers of 20 KB", viewer(() => ({ cookie: "x".repeat(20_000) })), 431],
    ["a URL of 20 KB", bytes(`GET /${"x".repeat(20_000)} HTTP/1.1\r\nHost: a\r\n\r\n`), 431],
    ["no Host", bytes("GET /readyz HTTP/1.1\r\n\r\n"), 400],
    ["two Hosts", bytes("GET /readyz HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n"), 400],
    [
      "a Host with port 99999",
      bytes("GET /readyz HTTP/1.1\r\nHost: a:99999\r\nConnection: close\r\n\r\n"),
      400,
    ],
    [
      "a length and chunks",
      bytes(
        "POST /graphql HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      ),
      400,
    ],
    ["a line that is no HTTP", bytes("hello\r\n\r\n"), 400],
    // Credentials.
    ["no token after Bearer", viewer(() => ({ authorization: "Bearer" })), "anonymous"],
    ["a token of two words", viewer(() => ({ authorization: `Bearer a ${user.token}` })), "anonymous"],
    ["Basic", viewer(() => ({ authorization: "Basic dXNlcjpwYXNz" })), "anonymous"],
    [
      "an escape that is cut off",
      viewer(() => ({ authorization: "%E0%A4%A", cookie: "session=%E0%A4%A" })),
      "anonymous",
    ],
    [
      "a token in lower case",
      viewer(() => ({ authorization: `Bearer ${user.token.toLowerCase()}` })),
      "anonymous",
    ],
    [
      "two cookies of our name",
      viewer(() => ({ cookie: `session=${user.token}; session=${user.token}` })),
      "anonymous",
    ],
    ["an empty cookie", viewer(() => ({ cookie: "session=" })), "anonymous"],
    ["8 KB of cookies", viewer(() => ({ cookie: "=;=;,;".repeat(1_300) })), "anonymous"],
    [
      "an X-Forwarded-For of junk",
      viewer(() => ({ "x-forwarded-for": "unknown, ::ffff:1.2.3.4, %00, 'x" })),
      "anonymous",
    ],
    // Documents.
    ["a syntax error", post('{"query":"{"}'), "400 GRAPHQL_PARSE_FAILED"],
    ["200 000 brackets", post(`{"query":"${"{".repeat(200_000)}"}`), "400 LIMIT_EXCEEDED"],
    [
      "a fragment that holds itself",
      post('{"query":"{ ...a } fragment a on Query { ...a }"}'),
      "400 GRAPHQL_VALIDATION_FAILED",
    ],
    [
      "the name of no operation",
      post('{"query":"query A { __typename }","operationName":"B"}'),
      "400 OPERATION_RESOLUTION_FAILURE",
    ],
    [
      "two operations and an empty name",
      post('{"query":"query A { __typename } query B { __typename }","operationName":""}'),
      "400 OPERATION_RESOLUTION_FAILURE",
    ],
    // Fields.
    ["an email of two @", field(SIGN_UP, signUpInput({ email: "a@b@c" })), "ValidationError"],
    ["an email with a NUL", field(SIGN_UP, signUpInput({ email: "a\0@example.com" })), "ValidationError"],
    [
      "a name of 10 KB of combining marks",
      field(SIGN_UP, signUpInput({ name: "\u0301".repeat(10_000) })),
      "ValidationError",
    ],
    [
      "a password with half a character",
      field(SIGN_UP, signUpInput({ password: "password\ud800" })),
      "ValidationError",
    ],
    [
      "a password that everybody has",
      field(SIGN_UP, signUpInput({ password: "Password123" })),
      "ValidationError",
    ],
    [
      "an input with __proto__",
      field(SIGN_UP, () => JSON.parse('{"input":{"__proto__":{"role":"ADMIN"}}}')),
      "BAD_REQUEST",
    ],
    ["a role of one's own choice", field(SIGN_UP, signUpInput({ role: "ADMIN" })), "BAD_REQUEST"],
    [
      "a password of 900 KB at the login",
      field(LOGIN, () => ({ input: { email: "a@b.c", password: "x".repeat(900_000) } })),
      "ValidationError",
    ],
    [
      "an email that is none at the login",
      field(LOGIN, () => ({ input: { email: "' or 1=1--", password: "x" } })),
      "InvalidCredentialsError",
    ],
    ["a session's id that is SQL", field(REVOKE, () => ({ id: "' or 1=1--" })), "NotFoundError"],
    ["a session's id in braces", field(REVOKE, () => ({ id: `{${user.sessionId}}` })), "NotFoundError"],
    ["a session's id of 100 KB", field(REVOKE, () => ({ id: "1".repeat(100_000) })), "NotFoundError"],
    ["somebody else's session", field(REVOKE, () => ({ id: other.sessionId })), "NotFoundError"],
    ["nobody's session", field(REVOKE, () => ({ id: randomUUID() })), "NotFoundError"],
    ["a page of nothing", field(EVENTS, () => ({ first: 0 })), "BAD_REQUEST"],
    ["a page of minus one", field(EVENTS, () => ({ first: -1 })), "BAD_REQUEST"],
    ["a page of 2^31", field(EVENTS, () => ({ first: 2 ** 31 })), "BAD_REQUEST"],
    ["a page of one and a half", field(EVENTS, () => ({ first: 1.5 })), "BAD_REQUEST"],
    ["a cursor that is a word", field(EVENTS, () => ({ after: "abc" })), "BAD_REQUEST"],
    ["a cursor of minus one", field(EVENTS, () => ({ after: "-1" })), "BAD_REQUEST"],
    ["a cursor in another notation", field(EVENTS, () => ({ after: "1e3" })), "BAD_REQUEST"],
    ["a cursor of 41 digits", field(EVENTS, () => ({ after: "9".repeat(41) })), "BAD_REQUEST"],
    [
      "an empty reset token",
      field(RESET, () => ({
        input: { token: "", newPassword: "a new password" },
      })),
      "InvalidTokenError",
    ],
    [
      "a reset token that is null",
      field(RESET, () => ({
        input: { token: null, newPassword: "a new password" },
      })),
      "BAD_REQUEST",
    ],
    [
      "a filter by a role that is none",
      field(
        BULK,
        () => ({ filter: { role: "KING" } }),
        () => admin,
      ),
      "BAD_REQUEST",
    ],
    [
      "a filter by the 30th of February",
      field(
        BULK,
        () => ({ filter: { createdBefore: "2026-02-30T00:00:00Z" } }),
        () => admin,
      ),
      "BAD_REQUEST",
    ],
    [
      "a filter by the year 0",
      field(
        BULK,
        () => ({ filter: { createdBefore: "0000-01-01T00:00:00Z" } }),
        () => admin,
      ),
      "BAD_REQUEST",
    ],
    // Sockets.
    ["an upgrade from another site", socket(() => {}, { headers: { origin: "https://evil.example" } }), 403],
    ["an upgrade without a key", socket(() => {}, { headers: { "sec-websocket-key": "" } }), 400],
    ["an upgrade of version 12", socket(() => {}, { headers: { "sec-websocket-version": "12" } }), 400],
    ["an upgrade elsewhere", socket(() => {}, { path: "/" }), 404],
    ["a list of protocols with a hole", socket(() => {}, { protocol: "a,,b" }), 400],
    ["the older protocol", socket(() => {}, { protocol: "graphql-ws" }), 4406],
    ["a text that is no JSON", socket((client) => client.send("hello")), 4400],
    ["a message without a type", socket((client) => client.send({})), 4400],
    ["30 000 brackets", socket((client) => client.send("[".repeat(30_000))), 4400],
    ["a payload of init that is a text", socket((client) => init(client, "x")), 4400],
    ["an authorization that is a number", socket((client) => init(client, { authorization: 1 })), 4403],
    ["an operation before init", socket((client) => subscribe(client, "1")), 4401],
    ["a second init", initialisedSocket((client) => init(client)), 4429],
    ["an operation without an id", initialisedSocket((client) => subscribe(client, undefined)), 4400],
    ["an operation whose id is a number", initialisedSocket((client) => subscribe(client, 1)), 4400],
    ["an operation called __proto__", initialisedSocket((client) => subscribe(client, "__proto__")), "next"],
    [
      "an operation called constructor",
      initialisedSocket((client) => subscribe(client, "constructor")),
      "next",
    ],
    ["a syntax error over the socket", initialisedSocket((client) => subscribe(client, "1", "{")), "error"],
    [
      "the end of an operation that never was",
      socket(async (client) => {
        await initialised(client);
        client.send({ type: "complete", id: "nothing" });
        client.send({ type: "pong" });
        subscribe(client, "1");
      }),
      "next",
    ],
    ["a binary message", socket((client) => client.sendFrame("binary", '{"type":"ping"}')), 4400],
    [
      "a message that is no UTF-8",
      socket((client) => client.sendFrame("text", Buffer.from([0xff, 0xfe]))),
      1007,
    ],
    ["a message of more than 64 KiB", socket((client) => client.send("x".repeat(66_000))), 1009],
    [
      "10 000 empty fragments",
      socket((client) => {
        client.sendFrame("text", "", false);
        for (let count = 0; count < 10_000; count++) client.sendFrame("continuation", "", false);
      }),
      1008,
    ],
    ["a ping of 126 bytes", socket((client) => client.sendFrame("ping", "x".repeat(126))), 1002],
    ["a ping in pieces", socket((client) => client.sendFrame("ping", "x", false)), 1002],
    ["the rest of no message", socket((client) => client.sendFrame("continuation", "x")), 1002],
    [
      "a close with the code 999",
      socket((client) => client.sendFrame("close", Buffer.from([0x03, 0xe7]))),
      1002,
    ],
    ["a close of one byte", socket((client) => client.sendFrame("close", Buffer.from([0x03]))), 1002],
    [
      "a frame that is not masked",
      socket((client) => client.socket.write(Buffer.from([0x81, 0x01, 0x78]))),
      1002,
    ],
    [
      "a frame with a reserved bit",
      socket((client) => client.socket.write(Buffer.from([0xc1, 0x80, 0, 0, 0, 0]))),
      1002,
    ],
    [
      "a frame of an unknown kind",
      socket((client) => client.socket.write(Buffer.from([0x83, 0x80, 0, 0, 0, 0]))),
      1002,
    ],
    [
      "a frame of 2^40 bytes",
      socket((client) => client.socket.write(Buffer.from([0x82, 0xff, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]))),
      1009,
    ],
    // Settings.
    ...(
      [
        ["SESSION_TTL", "5x"],
        ["PORT", "99999"],
        ["REVOCATION_BOUND_MS", "0"],
        ["ALLOWED_ORIGINS", "*"],
        ["OLD_ADDRESSES", "keep"],
      ] as const
    ).map(([name, value]): [string, Asked, unknown] => [
      `${name}=${value}`,
      async () => {
        try {
          return readConfig({ [name]: value });
        } catch (error) {
          return (error as Error).message.startsWith(`Bad settings:\n  ${name} `);
        }
      },
      true,
    ]),
  ];

  test("is of sixty kinds and more", () => {
    expect(rows.length).toBeGreaterThanOrEqual(60);
    expect(new Set(rows.map(([what]) => what)).size).toBe(rows.length);
  });

  test.each(rows)("%s has its answer", async (_what, ask, answer) => {
    expect(await within(10_000, "an answer", ask())).toEqual(answer);
  });

  test("leaves the node as it was, with no fault of its own in the log", async () => {
    await pause(50);
    expect((await user.run<{ viewer: { id: string } }, object>("{ viewer { id } }")).data?.viewer.id).toBe(
      user.userId,
    );
    const faults = node.logged.filter((line) => JSON.parse(line).level >= 50);
    expect(faults).toEqual([]);
  });
});
