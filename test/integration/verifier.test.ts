import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import express from "express";
import Fastify from "fastify";
import { GraphQLObjectType, GraphQLSchema, GraphQLString } from "graphql";
import { createClient } from "graphql-ws";
import { useServer } from "graphql-ws/use/ws";
import { Hono } from "hono";
import { exportJWK, generateKeyPair, importJWK, type JWK, type JWTPayload, SignJWT } from "jose";
import { Server as SocketServer } from "socket.io";
import { io } from "socket.io-client";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import {
  IssueAccessTokenDocument,
  RevokeAllSessionsDocument,
  RevokeServiceAccountDocument,
} from "../../src/client/generated/graphql.ts";
import { requireSession as forExpress, type WithSession } from "../../src/verifier/express.ts";
import { requireSession as forFastify } from "../../src/verifier/fastify.ts";
import { holdConnections as forGraphqlWs } from "../../src/verifier/graphql-ws.ts";
import { requireSession as forHono } from "../../src/verifier/hono.ts";
import { holdConnections as forSocketIo } from "../../src/verifier/socket-io.ts";
import {
  createVerifier,
  SessionEndedError,
  UnavailableError,
  type Verifier,
  type VerifierOptions,
} from "../../src/verifier/verifier.ts";
import { holdSocket } from "../../src/verifier/ws.ts";
import { logIn, signUp, type TestUser } from "../kit/client.ts";
import { eventually } from "../kit/deadline.ts";
import { ADMIN, startTestNode, type TestNode } from "../kit/node.ts";
import { spawnService } from "../kit/service-process.ts";
import { createService, type TestService } from "../kit/services.ts";
import { startTcpProxy } from "../kit/tcp-proxy.ts";

describe("the verifier", () => {
  let node: TestNode;
  let service: TestService;
  let verifier: Verifier;
  beforeAll(async () => {
    node = await startTestNode("postgres");
    service = await createService(node.url, ["EVENTS_READ"]);
    verifier = createVerifier({ url: `${node.url}/graphql`, serviceToken: service.token });
    await verifier.ready();
  });
  afterAll(async () => {
    verifier.close();
    await node.stop();
  });

  function open(options: Partial<VerifierOptions> = {}): Verifier {
    const opened = createVerifier({ url: `${node.url}/graphql`, serviceToken: service.token, ...options });
    onTestFinished(() => opened.close());
    return opened;
  }
  async function accessTokenOf(user: TestUser): Promise<string> {
    const { data } = await user.run(IssueAccessTokenDocument);
    return data?.issueAccessToken.token ?? expect.fail("no access token");
  }
  const revoke = (user: TestUser) => user.run(RevokeAllSessionsDocument);
  const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

  test("lets a live session's token through and says whose it is", async () => {
    const user = await signUp(node.url);
    const claims = await verifier.verify(await accessTokenOf(user));
    expect(claims).toMatchObject({ userId: user.userId, sessionId: user.sessionId, role: "USER" });
    expect(claims.expiresAt.getTime()).toBeGreaterThan(Date.now());
  });

  test("in a second process refuses a token at once when its session ends, one device alone", async () => {
    const path = await startTcpProxy(Number(new URL(node.url).port));
    onTestFinished(() => path.close());
    const other = spawnService(
      {},
      {
        script: "test/kit/verifying-service.ts",
        args: [`http://127.0.0.1:${path.port}`, service.token, node.url, "2000"],
      },
    );
    onTestFinished(async () => {
      other.child.kill("SIGKILL");
      await other.exited;
    });
    const url = await other.ready();
    const phone = await signUp(node.url);
    const laptop = await logIn(node.url, phone);
    const [onPhone, onLaptop] = [await accessTokenOf(phone), await accessTokenOf(laptop)];
    const ask = async (token: string) => {
      const response = await fetch(url, { headers: bearer(token) });
      return { status: response.status, body: (await response.json()) as Record<string, unknown> };
    };
    expect(await ask(onPhone)).toMatchObject({ status: 200, body: { sessionId: phone.sessionId } });
    const admin = await logIn(node.url, ADMIN);
    await admin.run(`mutation { revokeSession(id: "${phone.sessionId}") { __typename } }`);
    await eventually("the phone's is refused", async () => (await ask(onPhone)).status === 401);
    expect(await ask(onPhone)).toMatchObject({
      body: { error: "session_ended", reason: "REVOKED_BY_ADMIN" },
    });
    expect((await ask(onLaptop)).status).toBe(200);

    // Cut for longer than the bound: nobody is let through, and nobody is logged out.
    path.set("silent");
    await eventually("all are refused", async () => (await ask(onLaptop)).status === 503);
    await admin.run(`mutation { revokeSession(id: "${laptop.sessionId}") { __typename } }`);
    expect(await ask(onLaptop)).toMatchObject({ status: 503, body: { error: "unavailable" } });
    path.set("open");
    await eventually("what was missed is known", async () => (await ask(onLaptop)).status === 401, 30_000);
    expect((await ask(onLaptop)).body["reason"]).toBe("REVOKED_BY_ADMIN");
  });

  test("gives up a connection on which nothing comes any more, and makes another", async () => {
    const path = await startTcpProxy(Number(new URL(node.url).port));
    onTestFinished(() => path.close());
    const errors: string[] = [];
    const other = open({
      url: `http://127.0.0.1:${path.port}/graphql`,
      issuer: node.url,
      onError: (error) => void errors.push(String(error)),
    });
    await other.ready();
    path.set("silent");
    await eventually("it has given up", () => errors.some((error) => error.includes("Terminated")), 20_000);
    path.set("open");
    const token = await accessTokenOf(await signUp(node.url));
    await eventually(
      "it is back",
      () =>
        other.verify(token).then(
          () => true,
          () => false,
        ),
      20_000,
    );
  });

  test("knows what ended before it began, also when the log does not reach back so far", async () => {
    const user = await signUp(node.url);
    const token = await accessTokenOf(user);
    await revoke(user);
    const late = open();
    await late.ready();
    await expect(late.verify(token)).rejects.toThrow(SessionEndedError);

    const trimmed = await startTestNode("postgres");
    onTestFinished(() => trimmed.stop());
    const there = await createService(trimmed.url, ["EVENTS_READ"]);
    const someone = await signUp(trimmed.url);
    const theirs = await accessTokenOf(someone);
    await revoke(someone);
    await signUp(trimmed.url);
    await trimmed.sql("BEGIN");
    await trimmed.sql("SELECT set_config('live_logout.retention', 'on', true)");
    await trimmed.sql(
      "DELETE FROM session_event WHERE id < (SELECT id FROM session_event WHERE type = 'SESSION_REVOKED')",
    );
    await trimmed.sql("COMMIT");
    const afterwards = open({ url: `${trimmed.url}/graphql`, serviceToken: there.token });
    await afterwards.ready();
    await expect(afterwards.verify(theirs)).rejects.toThrow(SessionEndedError);
  }, 60_000);

  test("refuses everybody once its service account is revoked", async () => {
    const own = await createService(node.url, ["EVENTS_READ"]);
    const other = open({ serviceToken: own.token, boundMs: 1_500 });
    await other.ready();
    const token = await accessTokenOf(await signUp(node.url));
    await other.verify(token);
    const lease = await other.hold(token);
    const admin = await logIn(node.url, ADMIN);
    await admin.run(RevokeServiceAccountDocument, { id: own.id });
    await eventually("nobody is let through", () =>
      other.verify(token).then(
        () => false,
        (error) => error instanceof UnavailableError,
      ),
    );
    await eventually("the lease has ended", () => lease.signal.aborted);
    expect(lease.signal.reason).toBeInstanceOf(UnavailableError);
  });

  describe("refuses", () => {
    const sign = async (claims: JWTPayload, header: object = {}) => {
      const { privateKey } = await generateKeyPair("ES256");
      return new SignJWT(claims)
        .setProtectedHeader({ alg: "ES256", typ: "at+jwt", ...header })
        .setIssuedAt()
        .setExpirationTime("5m")
        .sign(privateKey);
    };
    const tamper = (token: string) => {
      const [header, payload = "", signature] = token.split(".");
      const claims = JSON.parse(Buffer.from(payload, "base64url").toString()) as JWTPayload;
      return [
        header,
        Buffer.from(JSON.stringify({ ...claims, role: "ADMIN" })).toString("base64url"),
        signature,
      ].join(".");
    };
    /** Signed by the service's own key, as only the service should. */
    const signWithOwnKey = async (user: TestUser, claims: Record<string, unknown>, header: object = {}) => {
      const [key] = await node.sql("SELECT id, private_jwk FROM signing_keys");
      const now = Math.floor(Date.now() / 1_000);
      const usual = {
        iss: node.url,
        aud: node.url,
        sub: user.userId,
        sid: user.sessionId,
        role: "USER",
        jti: "1",
      };
      return new SignJWT({ ...usual, iat: now, exp: now + 60, ...claims })
        .setProtectedHeader({ alg: "ES256", typ: "at+jwt", kid: String(key?.["id"]), ...header })
        .sign(await importJWK(key?.["private_jwk"] as JWK, "ES256"));
    };
    const secondsAgo = (seconds: number) => Math.floor(Date.now() / 1_000) - seconds;

    test("nothing that the service would sign so", async () => {
      const user = await signUp(node.url);
      expect(await verifier.verify(await signWithOwnKey(user, {}))).toMatchObject({ userId: user.userId });
    });

    test.each<[string, (user: TestUser) => Promise<string> | string]>([
      ["a token that has expired", (user) => signWithOwnKey(user, { exp: secondsAgo(30) })],
      ["a token that never expires", (user) => signWithOwnKey(user, { exp: undefined })],
      [
        "a token that is older than ends are remembered",
        (user) => signWithOwnKey(user, { iat: secondsAgo(4_000) }),
      ],
      ["a token of the future", (user) => signWithOwnKey(user, { iat: secondsAgo(-60) })],
      ["a token without a session", (user) => signWithOwnKey(user, { sid: undefined })],
      [
        "a token of another kind, as security event tokens are",
        (user) => signWithOwnKey(user, {}, { typ: "secevent+jwt" }),
      ],
      [
        "a token that brings its own key",
        async (user) => {
          const { publicKey, privateKey } = await generateKeyPair("ES256", { extractable: true });
          const jwk = await exportJWK(publicKey);
          const claims = {
            iss: node.url,
            aud: node.url,
            sub: user.userId,
            sid: user.sessionId,
            role: "ADMIN",
            jti: "1",
          };
          return new SignJWT(claims)
            .setProtectedHeader({ alg: "ES256", typ: "at+jwt", jwk, jku: "https://evil.example/jwks.json" })
            .setIssuedAt()
            .setExpirationTime("1m")
            .sign(privateKey);
        },
      ],
      [
        "a token signed with the public key as a secret",
        async (user) => {
          const [key] = await node.sql("SELECT id, public_jwk FROM signing_keys");
          const secret = new TextEncoder().encode(JSON.stringify(key?.["public_jwk"]));
          const claims = {
            iss: node.url,
            aud: node.url,
            sub: user.userId,
            sid: user.sessionId,
            role: "ADMIN",
            jti: "1",
          };
          return new SignJWT(claims)
            .setProtectedHeader({ alg: "HS256", typ: "at+jwt", kid: String(key?.["id"]) })
            .setIssuedAt()
            .setExpirationTime("1m")
            .sign(secret);
        },
      ],
      ["nothing", () => ""],
      ["garbage", () => "garbage"],
      ["a session's token", (user) => user.token],
      ["a token signed by somebody else", () => sign({ sub: "x", sid: "y", role: "ADMIN", jti: "z" })],
      ["a token that was changed", async (user) => tamper(await accessTokenOf(user))],
      [
        "a token without a signature",
        async (user) => {
          const [, payload] = (await accessTokenOf(user)).split(".");
          return `${Buffer.from('{"alg":"none","typ":"at+jwt"}').toString("base64url")}.${payload}.`;
        },
      ],
    ])("%s", async (_what, make) => {
      const token = await make(await signUp(node.url));
      await expect(verifier.verify(token)).rejects.toMatchObject({ name: "InvalidTokenError" });
    });

    test.each([
      ["another audience", { audience: "https://other.example.com" }],
      ["another issuer", { issuer: "https://other.example.com" }],
    ])("a token for %s", async (_what, options) => {
      const other = open(options);
      const token = await accessTokenOf(await signUp(node.url));
      await expect(other.verify(token)).rejects.toMatchObject({ name: "InvalidTokenError" });
    });

    test("everybody before it has heard of the service at all", async () => {
      const deaf = open({ url: "http://127.0.0.1:1/graphql" });
      await expect(deaf.verify(await accessTokenOf(await signUp(node.url)))).rejects.toThrow(
        UnavailableError,
      );
    });
  });

  describe("hands out leases, by which", () => {
    test("whoever holds one hears the reason of the end, until it is released", async () => {
      const user = await signUp(node.url);
      const token = await accessTokenOf(user);
      const [lease, released] = [await verifier.hold(token), await verifier.hold(token)];
      released.release();
      await node.sql("UPDATE users SET role = 'SUPPORT' WHERE id = $1", [user.userId]);
      if (!lease.signal.aborted) await once(lease.signal, "abort");
      expect(lease.signal.reason).toMatchObject({ name: "SessionEndedError", reason: "ROLE_CHANGED" });
      expect(released.signal.aborted).toBe(false);
    });

    /** A server on a free port, which ends with the test. */
    async function listen(server: ReturnType<typeof createServer>): Promise<string> {
      server.listen(0, "127.0.0.1");
      await once(server, "listening");
      onTestFinished(() => {
        server.closeAllConnections();
        server.close();
      });
      return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    }

    async function expectGuarded(url: string): Promise<void> {
      const user = await signUp(node.url);
      const headers = bearer(await accessTokenOf(user));
      expect((await fetch(url)).status).toBe(401);
      const through = await fetch(url, { headers });
      expect(through.status).toBe(200);
      expect(await through.text()).toBe(user.userId);
      await revoke(user);
      await eventually("it is refused", async () => (await fetch(url, { headers })).status === 401);
      expect(await (await fetch(url, { headers })).json()).toMatchObject({ error: "session_ended" });
    }

    test("Express lets only live sessions through, and cuts a response that goes on", async () => {
      const app = express();
      app.use(forExpress(verifier));
      app.get(
        "/",
        (request: express.Request & WithSession, response) => void response.send(request.session?.userId),
      );
      app.get("/stream", (_request, response) => void response.write("first"));
      const url = await listen(createServer(app));
      await expectGuarded(url);
      const user = await signUp(node.url);
      const stream = await fetch(`${url}/stream`, { headers: bearer(await accessTokenOf(user)) });
      const reader = stream.body?.getReader();
      expect(new TextDecoder().decode((await reader?.read())?.value)).toBe("first");
      await revoke(user);
      await expect(reader?.read()).rejects.toThrow();
    });

    test("Fastify does", async () => {
      const app = Fastify();
      app.addHook("preHandler", forFastify(verifier));
      app.get("/", async (request) => (request as WithSession).session?.userId);
      const url = await app.listen({ port: 0, host: "127.0.0.1" });
      onTestFinished(() => app.close());
      await expectGuarded(url);
    });

    test("Hono does", async () => {
      const app = new Hono();
      app.use(forHono(verifier));
      app.get("/", (context) => context.text((context.get("session" as never) as { userId: string }).userId));
      const url = await listen(
        createServer(async (request, response) => {
          const answer = await app.fetch(
            new Request(`http://127.0.0.1${request.url}`, {
              headers: request.headers as Record<string, string>,
            }),
          );
          response.writeHead(answer.status).end(await answer.text());
        }),
      );
      await expectGuarded(url);
    });

    test("a socket of ws is closed with the reason", async () => {
      const server = createServer();
      const sockets = new WebSocketServer({ server });
      sockets.on("connection", async (socket, request) => {
        const token = new URL(request.url ?? "", "http://x").searchParams.get("token") ?? "";
        const lease = await holdSocket(verifier, socket, token);
        if (lease) socket.send(lease.claims.userId);
      });
      const url = (await listen(server)).replace("http", "ws");
      const user = await signUp(node.url);
      const socket = new WebSocket(`${url}/?token=${await accessTokenOf(user)}`);
      expect(String((await once(socket, "message"))[0])).toBe(user.userId);
      const closed = once(socket, "close");
      await revoke(user);
      const [code, reason] = (await closed) as [number, Buffer];
      expect([code, String(reason)]).toEqual([4401, "Session revoked: REVOKED_BY_USER"]);
      const [refused] = (await once(new WebSocket(`${url}/?token=none`), "close")) as [number];
      expect(refused).toBe(4403);
    });

    test("a connection of graphql-ws is closed with the reason", async () => {
      const tick = {
        type: GraphQLString,
        async *subscribe() {
          yield { tick: "first" };
          await new Promise(() => {});
        },
      };
      const schema = new GraphQLSchema({
        query: new GraphQLObjectType({ name: "Query", fields: { viewer: { type: GraphQLString } } }),
        subscription: new GraphQLObjectType({ name: "Subscription", fields: { tick } }),
      });
      const server = createServer();
      const sockets = new WebSocketServer({ server });
      const served = useServer({ schema, ...forGraphqlWs(verifier) }, sockets);
      onTestFinished(async () => void served.dispose());
      const url = (await listen(server)).replace("http", "ws");
      const user = await signUp(node.url);
      const closed = Promise.withResolvers<{ code: number; reason: string }>();
      const client = createClient({
        url,
        webSocketImpl: WebSocket,
        retryAttempts: 0,
        connectionParams: bearer(await accessTokenOf(user)),
        on: { closed: (event) => closed.resolve(event as { code: number; reason: string }) },
      });
      const first = Promise.withResolvers<unknown>();
      client.subscribe(
        { query: "subscription { tick }" },
        { next: ({ data }) => first.resolve(data), error: () => {}, complete() {} },
      );
      expect(await first.promise).toEqual({ tick: "first" });
      await revoke(user);
      expect(await closed.promise).toMatchObject({ code: 4401, reason: "Session revoked: REVOKED_BY_USER" });
    });

    test("a client of Socket.IO is told the reason and disconnected", async () => {
      const server = createServer();
      const sockets = new SocketServer(server);
      sockets.use(forSocketIo(verifier));
      sockets.on("connection", (socket) => void socket.emit("hello", socket.data.session.userId));
      onTestFinished(async () => void sockets.close());
      const url = await listen(server);
      const user = await signUp(node.url);
      const refused = io(url, { auth: { token: "none" }, reconnection: false, forceNew: true });
      const [error] = await new Promise<[Error]>((resolve) =>
        refused.on("connect_error", (error) => resolve([error])),
      );
      expect(error.message).toBe("Authentication required");
      const client = io(url, {
        auth: { token: await accessTokenOf(user) },
        reconnection: false,
        forceNew: true,
      });
      const hear = (event: string) => new Promise<unknown>((resolve) => client.on(event, resolve));
      const [ended, disconnected] = [hear("sessionEnded"), hear("disconnect")];
      expect(await hear("hello")).toBe(user.userId);
      await revoke(user);
      expect(await ended).toEqual({ reason: "REVOKED_BY_USER" });
      await disconnected;
    });
  });
});
