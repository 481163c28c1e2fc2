import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import process from "node:process";
import { text } from "node:stream/consumers";
import { createRemoteJWKSet, decodeJwt, jwtVerify } from "jose";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import {
  CreateEventReceiverDocument,
  type CreateEventReceiverInput,
  DeleteEventReceiverDocument,
  EventReceiversDocument,
  LogoutDocument,
} from "../../src/client/generated/graphql.ts";
import { logIn, signUp, type TestUser } from "../kit/client.ts";
import { DATABASES } from "../kit/databases.ts";
import { eventually } from "../kit/deadline.ts";
import { ADMIN, startTestNode, type TestNode } from "../kit/node.ts";
import { freePort } from "../kit/postgres-server.ts";

const RECEIVER = join(import.meta.dirname, "../../docs/examples/caep-receiver/receiver.js");
const SESSION_REVOKED = "https://schemas.openid.net/secevent/caep/event-type/session-revoked";

describe.each(DATABASES)("receivers of security events on the %s database", (kind) => {
  let node: TestNode;
  let admin: TestUser;
  beforeAll(async () => {
    node = await startTestNode(kind);
    admin = await logIn(node.url, ADMIN);
  });
  afterAll(() => node.stop());

  async function register(input: CreateEventReceiverInput) {
    const { data } = await admin.run(CreateEventReceiverDocument, { input });
    const result = data?.createEventReceiver;
    if (result?.__typename !== "CreateEventReceiverSuccess") throw new Error(JSON.stringify(result));
    onTestFinished(
      async () => void (await admin.run(DeleteEventReceiverDocument, { id: result.eventReceiver.id })),
    );
    return { id: result.eventReceiver.id, token: result.token ?? "" };
  }
  async function statusOf(id: string) {
    const { data } = await admin.run(EventReceiversDocument);
    return data?.eventReceivers.find((receiver) => receiver.id === id) ?? expect.fail("no receiver");
  }
  async function logOutSomebody(): Promise<string> {
    const user = await signUp(node.url);
    await user.run(LogoutDocument);
    return user.sessionId;
  }

  /** A receiver in this process, which answers with what the test says. */
  async function listen(answer: (token: string) => number): Promise<string> {
    const server: Server = createServer(async (request, response) => {
      expect(request.headers["content-type"]).toBe("application/secevent+jwt");
      response.writeHead(answer(await text(request))).end();
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    onTestFinished(() => void server.close());
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  }

  test("the example, in a second process, is told of each end with a valid token, and of what it missed, in order", async () => {
    const port = await freePort();
    const url = `http://127.0.0.1:${port}/`;
    const lines: string[] = [];
    function start(): ChildProcess {
      const child = spawn(process.execPath, [RECEIVER], {
        env: {
          PATH: process.env["PATH"],
          ISSUER: node.url,
          AUDIENCE: url,
          SECRET: "open sesame",
          PORT: String(port),
        },
        stdio: ["ignore", "pipe", "inherit"],
      });
      child.stdout?.on("data", (chunk) => lines.push(...String(chunk).trim().split("\n")));
      onTestFinished(() => void child.kill("SIGKILL"));
      return child;
    }
    const heard = () =>
      lines.filter((line) => line.startsWith("{")).map((line) => JSON.parse(line).sessionId);
    const first = start();
    await eventually("it is ready", () => lines.some((line) => line.startsWith("ready")));
    const { id } = await register({ url, audience: url, authorization: "Bearer open sesame" });
    const told = await logOutSomebody();
    await eventually("it is told", () => heard().length === 1);
    expect(heard()).toEqual([told]);
    // Killed before its answer is noted it would be told once more.
    await eventually("that is noted", async () => (await statusOf(id)).deliveredAt !== null);

    first.kill("SIGKILL");
    await once(first, "close");
    const missed = [await logOutSomebody(), await logOutSomebody(), await logOutSomebody()];
    await eventually("that is noticed", async () => (await statusOf(id)).failures > 0);
    start();
    await eventually("it has what it missed", () => heard().length === 4, 30_000);
    expect(heard()).toEqual([told, ...missed]);
    await eventually("all is well", async () => (await statusOf(id)).failures === 0);
  });

  test("tokens are security event tokens of CAEP, signed by the published keys", async () => {
    const tokens: string[] = [];
    const url = await listen((token) => {
      tokens.push(token);
      return 202;
    });
    await register({ url, audience: "https://shop.example.com" });
    const user = await signUp(node.url);
    await node.sql("UPDATE users SET role = 'SUPPORT' WHERE id = $1", [user.userId]);
    await eventually("it is told", () => tokens.length === 1);
    const keys = createRemoteJWKSet(new URL("/.well-known/jwks.json", node.url));
    const { payload, protectedHeader } = await jwtVerify(tokens[0] ?? "", keys, {
      issuer: node.url,
      audience: "https://shop.example.com",
      typ: "secevent+jwt",
    });
    expect(protectedHeader.alg).toBe("ES256");
    // RFC 8417, 2.2: a subject of its own, no `sub`; 4.1: no `exp`.
    expect(Object.keys(payload).sort()).toEqual(["aud", "events", "iat", "iss", "jti", "sub_id"]);
    expect(payload["sub_id"]).toEqual({
      format: "complex",
      user: { format: "opaque", id: user.userId },
      session: { format: "opaque", id: user.sessionId },
    });
    expect(payload["events"]).toEqual({
      [SESSION_REVOKED]: {
        event_timestamp: expect.any(Number),
        initiating_entity: "admin",
        reason_admin: { en: "ROLE_CHANGED" },
        reason_user: { en: "You were logged out because your role changed." },
      },
    });
    const metadata = await (await fetch(`${node.url}/.well-known/ssf-configuration`)).json();
    expect(metadata).toMatchObject({ issuer: node.url, jwks_uri: `${node.url}/.well-known/jwks.json` });
  });

  test("one that is dead delays nobody else, and one that fails is tried again with the same token, in order", async () => {
    const dead = await register({ url: `http://127.0.0.1:${await freePort()}/`, audience: "dead" });
    const seen: unknown[] = [];
    let failuresLeft = 2;
    const url = await listen((token) => {
      seen.push(decodeJwt(token).jti);
      return failuresLeft-- > 0 ? 500 : 202;
    });
    await register({ url, audience: "fails" });
    await logOutSomebody();
    await logOutSomebody();
    await eventually("both arrive in the end", () => new Set(seen).size === 2, 20_000);
    expect(seen).toEqual([seen[0], seen[0], seen[0], seen[3]]);
    await eventually("the dead one is known as such", async () => (await statusOf(dead.id)).failures > 0);
    expect((await statusOf(dead.id)).lastError).toBe("ECONNREFUSED");
  });

  test("one that fetches gets what it has not acknowledged, by its token alone", async () => {
    const { token } = await register({ audience: "fetches" });
    expect(token).toMatch(/^lle_/);
    const poll = async (body: object, bearer = token) => {
      const response = await fetch(`${node.url}/events/poll`, {
        method: "POST",
        headers: { authorization: `Bearer ${bearer}`, "content-type": "application/json" },
        body: JSON.stringify(body),
      });
      return { status: response.status, body: (await response.json()) as Record<string, never> };
    };
    const sessions = (answer: Awaited<ReturnType<typeof poll>>) =>
      Object.values<string>(answer.body["sets"] ?? {}).map((set) => {
        const { session } = decodeJwt(set)["sub_id"] as { session: { id: string } };
        return session.id;
      });
    expect(sessions(await poll({ returnImmediately: true }))).toEqual([]);
    const [first, second] = [await logOutSomebody(), await logOutSomebody()];
    const one = await poll({ returnImmediately: true, maxEvents: 1 });
    expect(sessions(one)).toEqual([first]);
    expect(one.body["moreAvailable"]).toBe(true);
    expect(sessions(await poll({}))).toEqual([first, second]);
    const acknowledged = await poll({ returnImmediately: true, ack: Object.keys(one.body["sets"] ?? {}) });
    expect(sessions(acknowledged)).toEqual([second]);
    // What it waits for it gets when it comes.
    await poll({ returnImmediately: true, maxEvents: 0, ack: Object.keys(acknowledged.body["sets"] ?? {}) });
    const waiting = poll({});
    const third = await logOutSomebody();
    expect(sessions(await waiting)).toEqual([third]);

    expect(await poll({}, "lle_garbage")).toMatchObject({
      status: 401,
      body: { err: "authentication_failed" },
    });
    expect(await poll({}, admin.token)).toMatchObject({ status: 401 });
    expect(await poll({ ack: "x" })).toMatchObject({ status: 400, body: { err: "invalid_request" } });
    expect((await fetch(`${node.url}/events/poll`)).status).toBe(405);
  });

  test.each<[string, CreateEventReceiverInput, string]>([
    ["no audience", { audience: " " }, "input.audience"],
    ["a url that is none", { audience: "a", url: "shop" }, "input.url"],
    ["a url of another kind", { audience: "a", url: "file:///etc/passwd" }, "input.url"],
    ["a url with a password", { audience: "a", url: "https://a:b@shop.example.com" }, "input.url"],
    [
      "a header that breaks the line",
      { audience: "a", url: "https://a.example", authorization: "a\r\nb: c" },
      "input.authorization",
    ],
    ["a header for nobody", { audience: "a", authorization: "Bearer x" }, "input.authorization"],
  ])("are refused with %s", async (_what, input, path) => {
    const { data } = await admin.run(CreateEventReceiverDocument, { input });
    expect(data?.createEventReceiver).toMatchObject({ __typename: "ValidationError", issues: [{ path }] });
  });

  test("are for ADMIN alone, and http is for trials", async () => {
    const user = await signUp(node.url);
    const refused = await user.run(CreateEventReceiverDocument, { input: { audience: "a" } });
    expect(refused.errors[0]?.extensions).toMatchObject({ code: "FORBIDDEN" });
    const production = await startTestNode(kind, { settings: { NODE_ENV: "production" } });
    onTestFinished(() => production.stop());
    const there = await logIn(production.url, ADMIN);
    const { data } = await there.run(CreateEventReceiverDocument, {
      input: { audience: "a", url: "http://a.example" },
    });
    expect(data?.createEventReceiver).toMatchObject({ issues: [{ path: "input.url" }] });
  });
});
