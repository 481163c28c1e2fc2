import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { LogoutDocument } from "../../src/client/generated/graphql.ts";
import type { Directory } from "../../src/revocation/directory.ts";
import type { LeaseHolder } from "../../src/revocation/lease.ts";
import { createTestClient, logIn, signUp, type TestUser } from "../kit/client.ts";
import { eventually, within } from "../kit/deadline.ts";
import { startTestNode, type TestNode } from "../kit/node.ts";
import { openRawWebSocket, type RawOptions, type RawWebSocket } from "../kit/raw-websocket.ts";

const SUBSCRIBE = { type: "subscribe", payload: { query: "subscription { sessionRevoked { reason } }" } };

describe("the WebSocket endpoint", () => {
  let node: TestNode;
  let user: TestUser;
  beforeAll(async () => {
    node = await startTestNode("postgres");
    user = await signUp(node.url);
  });
  afterAll(() => node.stop());

  async function open(options?: RawOptions): Promise<RawWebSocket> {
    const client = await openRawWebSocket(node.url, options);
    onTestFinished(() => void client.socket.destroy());
    return client;
  }

  /** A client that is connected as this user. */
  async function connect({ token }: { readonly token: string }, options?: RawOptions): Promise<RawWebSocket> {
    const client = await open(options);
    client.send({ type: "connection_init", payload: { authorization: `Bearer ${token}` } });
    await client.next("connection_ack");
    return client;
  }

  test("a client that ignores the close frame executes nothing more and is gone within a second", async () => {
    const thief = await logIn(node.url, user);
    const client = await connect(thief);
    client.send({ ...SUBSCRIBE, id: "wait" });
    client.send({ type: "subscribe", id: "probe", payload: { query: "{ viewer { id } }" } });
    await client.next("complete");

    await node.sql("UPDATE sessions SET revoked_at = now() WHERE id = $1", [thief.sessionId]);
    expect(await client.next("close")).toEqual({
      kind: "close",
      code: 4401,
      reason: "Session revoked: REVOKED_BY_ADMIN",
    });
    const isOver = within(1_000, "the end of TCP", client.ended);
    const before = client.received.length;
    const mutation = "mutation { revokeAllSessions(exceptCurrent: true) { __typename } }";
    for (let count = 0; count < 20; count++) {
      client.send({ type: "subscribe", id: `m${count}`, payload: { query: mutation } });
    }
    await isOver;

    expect(client.received.slice(before)).toEqual([]);
    expect(
      await node.sql("SELECT id FROM sessions WHERE id = $1 AND revoked_at IS NULL", [user.sessionId]),
    ).toHaveLength(1);
    expect(
      await node.sql("SELECT * FROM session_event WHERE actor_id = $1 AND type = 'SESSION_REVOKED'", [
        user.userId,
      ]),
    ).toEqual([]);
  });

  test("every operation is completed before the close, in this order: next, complete, close", async () => {
    const session = await logIn(node.url, user);
    const client = await connect(session);
    for (const id of ["one", "two", "three"]) client.send({ ...SUBSCRIBE, id });
    client.send({ type: "subscribe", id: "probe", payload: { query: "{ __typename }" } });
    await client.next("complete");
    const before = client.received.length;

    await session.run(LogoutDocument);
    await client.next("close");

    const order = client.received
      .slice(before)
      .map((item) =>
        item.kind === "close" ? `close ${item.code}` : `${item.message["type"]} ${item.message["id"]}`,
      );
    for (const id of ["one", "two", "three"]) {
      expect(order.indexOf(`next ${id}`)).toBeGreaterThanOrEqual(0);
      expect(order.indexOf(`complete ${id}`)).toBeGreaterThan(order.indexOf(`next ${id}`));
    }
    expect(order.indexOf("close 4401")).toBe(6);
  });

  test("a mutation over the socket that ends its own session is answered before the close", async () => {
    const client = await connect(await logIn(node.url, user));
    client.send({ type: "subscribe", id: "bye", payload: { query: "mutation { logout { __typename } }" } });
    await client.next("close");
    expect(client.received.slice(1)).toEqual([
      {
        kind: "message",
        message: {
          type: "next",
          id: "bye",
          payload: { data: { logout: { __typename: "RevokeSessionSuccess" } } },
        },
      },
      { kind: "message", message: { type: "complete", id: "bye" } },
      { kind: "close", code: 4401, reason: "Session revoked: LOGOUT" },
    ]);
  });

  test("a mutation after a logout in the same operation is refused", async () => {
    const session = await logIn(node.url, user);
    const { data, errors } = await session.run(
      "mutation { logout { __typename } again: revokeAllSessions { __typename } }",
    );
    expect(data).toBeNull();
    expect(errors).toMatchObject([{ extensions: { code: "UNAUTHENTICATED", reason: "LOGOUT" } }]);
    expect((await user.run("{ viewer { id } }")).errors).toEqual([]);
  });

  test.each([
    ["no credentials", undefined],
    ["no payload of ours", { something: 1 }],
    ["an authorization that is no text", { authorization: 1 }],
    ["a scheme that is not ours", { authorization: "Basic x" }],
    ["a malformed token", { authorization: "Bearer lls_x" }],
    ["a token with a wrong checksum", { authorization: `Bearer lls_${"0".repeat(49)}` }],
  ])("with %s the connection is closed with 4403 Authentication required", async (_name, payload) => {
    const client = await open();
    client.send({ type: "connection_init", payload });
    expect(await client.next("close")).toMatchObject({ code: 4403, reason: "Authentication required" });
  });

  test("the cookie of the upgrade request counts as credentials", async () => {
    const client = await open({ headers: { cookie: `session=${user.token}`, origin: node.url } });
    client.send({ type: "connection_init" });
    await client.next("connection_ack");
  });

  test("credentials in the payload count and the cookie is ignored then", async () => {
    const client = await open({ headers: { cookie: `session=${user.token}` } });
    client.send({ type: "connection_init", payload: { authorization: "Bearer nonsense" } });
    expect(await client.next("close")).toMatchObject({ code: 4403 });
  });

  test.each([["https://evil.example"], ["null"], ["http://127.0.0.1.evil.example"], ["https://127.0.0.1"]])(
    "an upgrade from a page of %s is refused with 403, whatever cookie it brings",
    async (origin) => {
      const client = await open({ headers: { origin, cookie: `session=${user.token}` } });
      expect(client.status).toBe("HTTP/1.1 403 Forbidden");
    },
  );

  test("an upgrade at another path is refused with 404", async () => {
    expect((await open({ path: "/elsewhere" })).status).toBe("HTTP/1.1 404 Not Found");
  });

  test.each([["graphql-ws"], [""]])("the subprotocol %j is not spoken", async (protocol) => {
    const client = await open({ protocol });
    expect(await client.next("close")).toMatchObject({ code: 4406 });
  });

  test.each<[string, string | object, number]>([
    ["text that is not JSON", "hello", 4400],
    ["an empty object", {}, 4400],
    ["an unknown type", { type: "start" }, 4400],
    ["a type that only servers send", { type: "next", id: "1", payload: {} }, 4400],
    ["deeply nested brackets", "[".repeat(30_000), 4400],
    ["an operation without an id", SUBSCRIBE, 4400],
    ["an operation with an empty id", { ...SUBSCRIBE, id: "" }, 4400],
    ["an operation before connection_init", { ...SUBSCRIBE, id: "1" }, 4401],
    ["a payload that is a list", { type: "connection_init", payload: [] }, 4400],
  ])("%s is closed with its protocol code", async (_name, message, code) => {
    const client = await open();
    client.send(message);
    expect(await client.next("close")).toMatchObject({ code });
  });

  test("a second connection_init is closed with 4429", async () => {
    const client = await connect(user);
    client.send({ type: "connection_init" });
    expect(await client.next("close")).toMatchObject({ code: 4429 });
  });

  test("a second operation with the id of a running one is closed with 4409", async () => {
    const client = await connect(user);
    client.send({ ...SUBSCRIBE, id: "1" });
    client.send({ ...SUBSCRIBE, id: "1" });
    expect(await client.next("close")).toMatchObject({ code: 4409 });
  });

  test("a binary message is closed with 4400, a message over 64 KiB with 1009", async () => {
    const binary = await connect(user);
    binary.sendFrame("binary", JSON.stringify({ type: "ping" }));
    expect(await binary.next("close")).toMatchObject({ code: 4400 });
    const large = await connect(user);
    large.send({ type: "ping", payload: { text: "x".repeat(70_000) } });
    expect(await large.next("close")).toMatchObject({ code: 1009 });
  });

  test.each([
    ["a syntax error", "{", "GRAPHQL_PARSE_FAILED"],
    ["an unknown field", "{ nothing }", "GRAPHQL_VALIDATION_FAILED"],
    [
      "a nesting that would overflow the parser",
      `${"{a".repeat(5_000)}${"}".repeat(5_000)}`,
      "GRAPHQL_PARSE_FAILED",
    ],
  ])("%s is an error of that operation, and the socket lives", async (_name, query, code) => {
    const client = await connect(user);
    client.send({ type: "subscribe", id: "bad", payload: { query } });
    const error = await client.next("error");
    expect(error).toMatchObject({ message: { id: "bad", payload: [{ extensions: { code } }] } });
    client.send({ type: "subscribe", id: "good", payload: { query: "{ viewer { id } }" } });
    expect(await client.next("next")).toMatchObject({
      message: { payload: { data: { viewer: { id: user.userId } } } },
    });
  });

  test("a session with an open socket is online until the socket is gone", async () => {
    const query = "{ mySessions { id online } }";
    const session = await logIn(node.url, user);
    const isOnline = async () => {
      const { data } = await user.run<{ mySessions: { id: string; online: boolean }[] }, unknown>(query);
      return data?.mySessions.find(({ id }) => id === session.sessionId)?.online;
    };
    expect(await isOnline()).toBe(false);
    const client = await connect(session);
    expect(await isOnline()).toBe(true);
    client.socket.destroy();
    await eventually("the session is offline", async () => (await isOnline()) === false);
  });

  test("a login over WebSocket can only give the token in its answer", async () => {
    const client = await connect(user);
    const input = `email: "${user.email}", password: "${user.password}"`;
    const query = `mutation { login(input: { ${input} }) { __typename } }`;
    client.send({ type: "subscribe", id: "1", payload: { query } });
    expect(await client.next("next")).toMatchObject({
      message: { payload: { data: { login: { __typename: "ValidationError" } } } },
    });
  });

  test("an anonymous client still gets its answers over HTTP", async () => {
    expect((await createTestClient(node.url).run("{ viewer { id } }")).data).toEqual({ viewer: null });
  });
});

describe("a session that ends while its socket is being opened (the subscribing race)", () => {
  /** A node that waits, after it has found the session of a connection, until the test lets it go on. */
  async function pausedNode() {
    const found = Promise.withResolvers<void>();
    const goOn = Promise.withResolvers<void>();
    const wrapDirectory = (directory: Directory): Directory => ({
      ...directory,
      async resolve(tokenHash, purpose) {
        const resolution = await directory.resolve(tokenHash, purpose);
        if (purpose === "connect") {
          found.resolve();
          await goOn.promise;
        }
        return resolution;
      },
    });
    const node = await startTestNode("postgres", { wrapDirectory });
    onTestFinished(() => node.stop());
    return { node, found: found.promise, goOn: goOn.resolve };
  }

  test("is closed with its reason and never acknowledged", async () => {
    const { node, found, goOn } = await pausedNode();
    const user = await signUp(node.url);
    const client = await openRawWebSocket(node.url);
    client.send({ type: "connection_init", payload: { authorization: `Bearer ${user.token}` } });
    await within(5_000, "the session to be found", found);

    await user.run(LogoutDocument);
    goOn();

    expect(await client.next("close")).toMatchObject({ code: 4401, reason: "Session revoked: LOGOUT" });
    expect(client.received).toHaveLength(1);
    client.socket.destroy();
  });
});

test("a session remembers none of the connections that are over, however many it had", async () => {
  // Whoever is to be told of the session's end, and with them their sockets and all that they hold.
  const holders = new Set<LeaseHolder>();
  const wrapDirectory = (directory: Directory): Directory => ({
    ...directory,
    async resolve(tokenHash, purpose) {
      const resolution = await directory.resolve(tokenHash, purpose);
      if (resolution.kind !== "live" || purpose !== "connect") return resolution;
      const { lease } = resolution;
      const [tell, forget] = [lease.tellOver.bind(lease), lease.forgetHolder.bind(lease)];
      lease.tellOver = (holder) => {
        holders.add(holder);
        tell(holder);
      };
      lease.forgetHolder = (holder) => {
        holders.delete(holder);
        forget(holder);
      };
      return resolution;
    },
  });
  const node = await startTestNode("postgres", { wrapDirectory });
  onTestFinished(() => node.stop());
  const user = await signUp(node.url);
  for (const leave of ["close", "destroy"] as const) {
    const client = await openRawWebSocket(node.url);
    client.send({ type: "connection_init", payload: { authorization: `Bearer ${user.token}` } });
    await client.next("connection_ack");
    client.send({ ...SUBSCRIBE, id: "wait" });
    client.send({ type: "subscribe", id: "probe", payload: { query: "{ viewer { id } }" } });
    await client.next("complete");
    expect(holders.size).toBe(1);
    if (leave === "close") client.sendFrame("close", Buffer.from([0x03, 0xe8]));
    else client.socket.destroy();
    await eventually("it is forgotten", () => holders.size === 0);
    client.socket.destroy();
  }
});
