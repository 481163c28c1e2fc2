import { describe, expect, test } from "vitest";
import { LoginDocument, ViewerDocument } from "../../src/client/generated/graphql.ts";
import { createTestClient, signUp } from "../kit/client.ts";
import { DATABASES, type DatabaseKind } from "../kit/databases.ts";
import { eventually, within } from "../kit/deadline.ts";
import { startMailServer } from "../kit/mail-server.ts";
import { startTestNode } from "../kit/node.ts";
import { openRawWebSocket } from "../kit/raw-websocket.ts";
import { subscribeByWebSocket } from "../kit/subscriber.ts";

const FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0";
const NEXT_FIREFOX = FIREFOX.replaceAll("145.0", "146.0");
const HOME = "198.51.100.7";
const ELSEWHERE = "203.0.113.7";
const SUBJECT = "Unusual activity in your account";

/** A node with the policy, and a session that was begun at home with Firefox. */
async function begin(kind: DatabaseKind, policy: string) {
  const mails = await startMailServer();
  const settings = { ...mails.settings, TRUST_PROXY: "loopback", UNUSUAL_ACTIVITY: policy };
  const node = await startTestNode(kind, { settings });
  const user = await signUp(node.url);
  const from = (userAgent: string, address: string, token?: string) =>
    createTestClient(node.url, {
      "user-agent": userAgent,
      "x-forwarded-for": address,
      ...(token ? { authorization: `Bearer ${token}` } : {}),
    });
  const { data } = await from(FIREFOX, HOME).run(LoginDocument, {
    input: { email: user.email, password: user.password, returnToken: true },
  });
  if (data?.login.__typename !== "LoginSuccess" || !data.login.token) throw new Error("no login");
  const { token } = data.login;
  return {
    node,
    user,
    token,
    mails: () => mails.to(user.email).filter((mail) => mail.subject === SUBJECT),
    /** Who the session is to a request from there: the user, or why not. */
    async viewer(userAgent: string, address: string) {
      const { data, errors } = await from(userAgent, address, token).run(ViewerDocument);
      return data?.viewer?.id ?? errors[0]?.extensions?.["reason"];
    },
    async stop() {
      await node.stop();
      await mails.stop();
    },
  };
}

describe.each(DATABASES)(
  "a token from another network and another device at once, on the %s database",
  (kind) => {
    test("is taken as it is when the setting is off", async () => {
      const session = await begin(kind, "off");
      try {
        expect(await session.viewer("curl/8.0", ELSEWHERE)).toBe(session.user.userId);
        expect(session.mails()).toEqual([]);
      } finally {
        await session.stop();
      }
    });

    test("is told to its user by mail, once for each network and device, when the setting is notify", async () => {
      const session = await begin(kind, "notify");
      try {
        for (let requests = 0; requests < 3; requests++) {
          expect(await session.viewer("curl/8.0", ELSEWHERE)).toBe(session.user.userId);
        }
        await eventually("the mail", () => session.mails().length > 0);
        expect(session.mails()[0]?.text).toContain("curl, from the address 203.0.113.7");
        await session.viewer("wget/1.2", ELSEWHERE);
        await eventually("the second mail", () => session.mails().length > 1);
        expect(session.mails()).toHaveLength(2);
      } finally {
        await session.stop();
      }
    });

    test("ends its session with POLICY when the setting is revoke, before anything is answered", async () => {
      const session = await begin(kind, "revoke");
      try {
        const subscriber = await subscribeByWebSocketAsFirefox(session.node.url, session.token);
        expect(await session.viewer("curl/8.0", ELSEWHERE)).toBe("POLICY");
        expect(await subscriber.next("close")).toMatchObject({
          code: 4401,
          reason: "Session revoked: POLICY",
        });
        subscriber.socket.destroy();
        expect(await session.viewer(FIREFOX, HOME)).toBe("POLICY");
        await eventually("the mail", () => session.mails().length > 0);
        expect(session.mails()[0]?.text).toContain("It was ended to be on the safe side.");
      } finally {
        await session.stop();
      }
    });

    test("ends its session also when it opens a WebSocket", async () => {
      const session = await begin(kind, "revoke");
      try {
        // The stock client says no user agent, and comes from 127.0.0.1.
        const thief = subscribeByWebSocket(session.node.url, session.token);
        expect((await within(5_000, "the close", (await thief).closed)).reason).toBe(
          "Session revoked: POLICY",
        );
      } finally {
        await session.stop();
      }
    });

    test("is not what a person does who moves, or who updates the browser, or both", async () => {
      const session = await begin(kind, "revoke");
      try {
        for (const [userAgent, address] of [
          [FIREFOX, ELSEWHERE],
          ["curl/8.0", HOME],
          [NEXT_FIREFOX, ELSEWHERE],
          [FIREFOX, "198.51.100.200"],
        ] as const) {
          expect(await session.viewer(userAgent, address)).toBe(session.user.userId);
        }
      } finally {
        await session.stop();
      }
    });
  },
);

async function subscribeByWebSocketAsFirefox(url: string, token: string) {
  const headers = { "user-agent": FIREFOX, "x-forwarded-for": HOME, authorization: `Bearer ${token}` };
  const client = await openRawWebSocket(url, { headers });
  client.send({ type: "connection_init" });
  await client.next("connection_ack");
  return client;
}
