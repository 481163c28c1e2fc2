import { once } from "node:events";
import process from "node:process";
import fc from "fast-check";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import * as documents from "../../src/client/generated/graphql.ts";
import { signUp, type TestUser } from "../kit/client.ts";
import { within } from "../kit/deadline.ts";
import { startTestNode, type TestNode } from "../kit/node.ts";
import { send } from "../kit/raw-http.ts";
import { openRawWebSocket } from "../kit/raw-websocket.ts";

// The same inputs each time, so that a suite fails by what was changed. `FUZZ_SEED=... FUZZ_RUNS=5000` looks further.
const SEED = Number(process.env["FUZZ_SEED"] ?? 20_261_121);
const RUNS = Number(process.env["FUZZ_RUNS"] ?? 150);
const PARAMETERS = { seed: SEED, numRuns: RUNS };
const TIMEOUT_MS = 60_000 + RUNS * 200;

const JSON_TYPE = { "content-type": "application/json", accept: "application/graphql-response+json" };

/** Text as strangers write it: any Unicode, also halves of characters, and what means something to us. */
const text = fc.oneof(
  fc.string({ unit: "binary", maxLength: 60 }),
  fc.string({ unit: "grapheme", maxLength: 60 }),
  fc.constantFrom(
    "",
    "__proto__",
    "constructor",
    "\0",
    "\ud800",
    "' or 1=1--",
    "%E0%A4%A",
    "lls_",
    "9".repeat(30),
  ),
);
const json = fc.jsonValue({ maxDepth: 4, stringUnit: "binary" });

/** A header value that Node's client is willing to send. */
const headerValue = fc
  .string({
    unit: fc.integer({ min: 0x20, max: 0xff }).map((code) => String.fromCharCode(code)),
    maxLength: 200,
  })
  .map((value) => value.replace(/\x7f/g, ""));

describe("whatever is sent", () => {
  let node: TestNode;
  let user: TestUser;
  let other: TestUser;
  beforeAll(async () => {
    node = await startTestNode("postgres", { settings: { TRUST_PROXY: "loopback" } });
    user = await signUp(node.url);
    other = await signUp(node.url);
  });
  afterAll(() => node.stop());

  /** The node serves its users, and found no fault of its own. */
  afterEach(async () => {
    const { data } = await user.run<{ viewer: { id: string } }, object>("{ viewer { id } }");
    expect(data?.viewer.id).toBe(user.userId);
    expect(node.logged.filter((line) => JSON.parse(line).level >= 50)).toEqual([]);
  });

  test(
    "as a body, is answered, and never with a fault",
    async () => {
      const body = fc.oneof(
        fc.uint8Array({ maxLength: 400 }).map((bytes) => Buffer.from(bytes)),
        json.map((value) => JSON.stringify(value)),
        fc
          .record(
            { query: fc.oneof(text, json), variables: json, operationName: json, extensions: json },
            { requiredKeys: [] },
          )
          .map((value) => JSON.stringify(value)),
      );
      await fc.assert(
        fc.asyncProperty(body, async (sent) => {
          const { status } = await send(node.url, { body: sent, headers: JSON_TYPE });
          expect([200, 400, 413]).toContain(status);
        }),
        PARAMETERS,
      );
    },
    TIMEOUT_MS,
  );

  test(
    "as headers, is answered, and makes nobody anybody else",
    async () => {
      const names = [
        ...["authorization", "cookie", "content-type", "accept", "origin", "sec-fetch-site"],
        ...[
          "x-forwarded-for",
          "x-forwarded-proto",
          "host",
          "user-agent",
          "accept-encoding",
          "content-encoding",
        ],
      ] as const;
      const headers = fc.dictionary(fc.constantFrom(...names), headerValue, { maxKeys: 5 });
      const path = fc.constantFrom(
        "/graphql",
        "/",
        "/auth/verify",
        "/events/poll",
        "/metrics",
        "/readyz",
        "/assets/x",
      );
      await fc.assert(
        fc.asyncProperty(headers, path, fc.constantFrom("GET", "POST"), async (given, where, method) => {
          const body = method === "POST" ? '{"query":"{ viewer { id } }"}' : "";
          const answer = await send(node.url, {
            method,
            path: where,
            body,
            headers: { ...JSON_TYPE, ...given },
          });
          expect(answer.status).toBeLessThan(500);
          expect(answer.body).not.toContain(user.userId);
        }),
        PARAMETERS,
      );
    },
    TIMEOUT_MS,
  );

  test(
    "as a token or a cookie, is nobody, whatever was changed of a good one",
    async () => {
      const changed = fc
        .record({ at: fc.nat(60), drop: fc.nat(3), put: fc.string({ maxLength: 3 }) })
        .map(({ at, drop, put }) => user.token.slice(0, at) + put + user.token.slice(at + drop))
        .filter((token) => token.trim() !== user.token && !/[^\x20-\x7e]/.test(token));
      await fc.assert(
        fc.asyncProperty(changed, fc.boolean(), async (token, isCookie) => {
          const credentials = isCookie
            ? { cookie: `session=${token}` }
            : { authorization: `Bearer ${token}` };
          const { status, body } = await send(node.url, {
            body: '{"query":"{ viewer { id } }"}',
            headers: { ...JSON_TYPE, ...credentials },
          });
          // A semicolon ends a cookie, so what is left of it may be the good one again.
          if (isCookie && token.split(";").some((part) => part.trim() === user.token)) return;
          expect([status, body]).toEqual([200, '{"data":{"viewer":null}}']);
        }),
        PARAMETERS,
      );
    },
    TIMEOUT_MS,
  );

  test(
    "as variables of the operations there are, is answered, and never with a fault",
    async () => {
      const operations = Object.entries(documents)
        .filter(
          ([name]) =>
            name.endsWith("Document") && !/Subscription|LogoutDocument|ReauthenticateDocument/.test(name),
        )
        .map(([, document]) => String(document))
        // Those would end the session that all the others are tried with.
        .filter((operation) => !/^\s*subscription|mutation (Logout|RevokeAllSessions)\b/.test(operation));
      expect(operations.length).toBeGreaterThan(20);
      const value = fc.oneof(
        json,
        text,
        fc.constantFrom(other.userId, other.sessionId, user.email, 0, -1, 2 ** 31, 1.5),
      );
      const names = [
        "id",
        "userId",
        "first",
        "after",
        "before",
        "filter",
        "role",
        "status",
        "search",
        "from",
        "token",
      ];
      const fields = [
        "email",
        "name",
        "password",
        "currentPassword",
        "newPassword",
        "token",
        "passwordConfirmation",
      ];
      const input = fc.dictionary(fc.constantFrom(...fields), fc.oneof(text, value), { maxKeys: 7 });
      const variables = fc
        .record({ input, others: fc.dictionary(fc.constantFrom(...names), value) })
        .map(({ input, others }) => ({ ...others, input }));
      await fc.assert(
        fc.asyncProperty(fc.constantFrom(...operations), variables, async (query, given) => {
          const { status, body } = await send(node.url, {
            body: JSON.stringify({ query, variables: given }),
            headers: { ...JSON_TYPE, authorization: `Bearer ${user.token}` },
          });
          expect([200, 400]).toContain(status);
          expect(body).not.toContain("INTERNAL_SERVER_ERROR");
        }),
        PARAMETERS,
      );
    },
    TIMEOUT_MS,
  );

  test(
    "as frames, is answered or closed with a code of the protocol, and is over in time",
    async () => {
      const known = fc.constantFrom(
        "connection_init",
        "subscribe",
        "complete",
        "ping",
        "pong",
        "next",
        "start",
      );
      const message = fc
        .record(
          {
            type: fc.oneof(known, json),
            id: fc.oneof(text, json),
            payload: fc.oneof(
              json,
              fc.constant({ authorization: `Bearer ${user.token}` }),
              fc.record({ query: fc.oneof(text, fc.constant("{ viewer { id } }")), variables: json }),
            ),
          },
          { requiredKeys: [] },
        )
        .map((value) => JSON.stringify(value));
      const opcode = fc.constantFrom(
        "text",
        "text",
        "text",
        "continuation",
        "binary",
        "ping",
        "pong",
        "close",
      );
      const payload = fc.oneof(
        message.map((value) => Buffer.from(value)),
        fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
      );
      const frame = fc.tuple(opcode, payload, fc.boolean());
      await fc.assert(
        fc.asyncProperty(
          fc.array(frame, { maxLength: 12 }),
          fc.uint8Array({ maxLength: 30 }),
          async (frames, junk) => {
            const client = await openRawWebSocket(node.url);
            for (const [kind, bytes, isFinal] of frames) client.sendFrame(kind, bytes, isFinal);
            if (!client.socket.destroyed) client.socket.write(junk);
            // The end of our half: whatever was left open by the frames is over with it.
            client.socket.end();
            await within(8_000, "the end", client.ended);
            for (const item of client.received) {
              if (item.kind !== "close") continue;
              expect([
                1000,
                1001,
                1002,
                1005,
                1007,
                1008,
                1009,
                1013,
                4400,
                4401,
                4403,
                4409,
                4429,
                ...sent(frames),
              ]).toContain(item.code);
            }
          },
        ),
        PARAMETERS,
      );
    },
    TIMEOUT_MS,
  );

  test(
    "as an upgrade, is refused or served",
    async () => {
      const headers = fc.dictionary(
        fc.constantFrom(
          "sec-websocket-protocol",
          "sec-websocket-key",
          "sec-websocket-version",
          "sec-websocket-extensions",
          "origin",
          "cookie",
        ),
        headerValue.map((value) => value.replace(/[^\x20-\x7e]/g, "?")),
        { maxKeys: 3 },
      );
      await fc.assert(
        fc.asyncProperty(headers, async (given) => {
          const client = await openRawWebSocket(node.url, { headers: given });
          expect(client.status).toMatch(/^HTTP\/1\.1 (101|400|403|405|429) /);
          client.socket.destroy();
          if (!client.socket.closed) await once(client.socket, "close");
        }),
        PARAMETERS,
      );
    },
    TIMEOUT_MS,
  );

  /** Codes that a client closes with come back to it. */
  function sent(frames: readonly (readonly [string, Buffer, boolean])[]): number[] {
    return frames
      .filter(([kind, bytes]) => kind === "close" && bytes.length >= 2)
      .map(([, bytes]) => bytes.readUInt16BE(0));
  }
});
