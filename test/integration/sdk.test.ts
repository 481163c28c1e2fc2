import { randomUUID } from "node:crypto";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { inMemory, type SessionClient, SignedOutError, UnavailableError } from "../../src/client/core.ts";
import {
  MySessionsDocument,
  RevokeAllSessionsDocument,
  ViewerDocument,
} from "../../src/client/generated/graphql.ts";
import { createToken } from "../../src/token.ts";
import { logIn, settle, signUp, type TestUser } from "../kit/client.ts";
import { createTestDatabase } from "../kit/databases.ts";
import { eventually, within } from "../kit/deadline.ts";
import { startTestNode, type TestNode } from "../kit/node.ts";
import { createSdk, untilStatus } from "../kit/session-client.ts";
import { startTcpProxy, type TcpProxy } from "../kit/tcp-proxy.ts";

let node: TestNode;
let path: TcpProxy;
const clients: SessionClient[] = [];
beforeAll(async () => {
  node = await startTestNode("postgres");
  path = await startTcpProxy(Number(new URL(node.url).port));
});
afterEach(() => {
  for (const client of clients.splice(0)) client.close();
  path.set("open");
});
afterAll(async () => {
  await path.close();
  await node.stop();
});

function sdk(options: Parameters<typeof createSdk>[1] = {}, url = node.url): SessionClient {
  const client = createSdk(url, options);
  clients.push(client);
  return client;
}

/** A client that is signed in, as a new user, with a connection that is open. */
async function signedIn(options: Parameters<typeof createSdk>[1] = {}, url = node.url) {
  const user = await signUp(node.url);
  const client = sdk(options, url);
  await untilStatus(client, "signedOut");
  const { __typename } = await client.login({ email: user.email, password: user.password });
  expect(__typename).toBe("LoginSuccess");
  const state = client.getSnapshot();
  if (state.status !== "signedIn") throw new Error("not signed in");
  await untilOnline(user);
  return { client, user, sessionId: state.session.id };
}

/** Waits until a session of the user other than their own holds a connection. */
async function untilOnline(user: TestUser): Promise<void> {
  await eventually(
    "the connection of the client",
    async () => {
      const { data } = await user.run(MySessionsDocument);
      return data?.mySessions.some((session) => !session.current && session.online) ?? false;
    },
    40_000,
  );
}

const viaPath = () => `http://127.0.0.1:${path.port}`;

describe("signing in with the SDK", () => {
  test("goes from loading over signedOut to signedIn, and tells each change once", async () => {
    const client = sdk();
    const seen: string[] = [client.getSnapshot().status];
    client.subscribe(() => seen.push(client.getSnapshot().status));
    await untilStatus(client, "signedOut");
    const password = "a fine password";
    const email = `${randomUUID()}@example.com`;
    await client.signUp({ email, name: "Ann", password, passwordConfirmation: password });
    expect(client.getSnapshot()).toMatchObject({ status: "signedIn", user: { email, role: "USER" } });
    expect(seen).toEqual(["loading", "signedOut", "signedIn"]);
    expect(client.getSnapshot()).toBe(client.getSnapshot());
  });

  test("with a wrong password gives the service's answer and changes nothing", async () => {
    const user = await signUp(node.url);
    const client = sdk();
    expect((await client.login({ email: user.email, password: "wrong" })).__typename).toBe(
      "InvalidCredentialsError",
    );
    await untilStatus(client, "signedOut");
  });

  test("finds the session again whose token the storage has", async () => {
    const user = await signUp(node.url);
    const storage = inMemory();
    await storage.set(user.token);
    const state = await untilStatus(sdk({ storage }), "signedIn");
    expect(state.session.id).toBe(user.sessionId);
  });

  test("says why a session ended that the storage still has the token of, and forgets the token", async () => {
    const user = await signUp(node.url);
    await user.run(RevokeAllSessionsDocument, {});
    const storage = inMemory();
    await storage.set(user.token);
    const state = await untilStatus(sdk({ storage }), "signedOut");
    expect(state.cause).toMatchObject({
      reason: "REVOKED_BY_USER",
      message: "You were logged out from another of your sessions.",
    });
    expect(await storage.get()).toBeUndefined();
  });

  test("lists and ends sessions, and changes the password with the connection staying", async () => {
    const { client, user } = await signedIn();
    const sessions = await client.sessions();
    expect(sessions.map(({ current }) => current)).toEqual([true, false]);
    const other = await logIn(node.url, user);
    expect((await client.revoke(other.sessionId)).__typename).toBe("RevokeSessionSuccess");
    const states: string[] = [];
    client.subscribe(() => states.push(client.getSnapshot().status));
    const changed = await client.changePassword({
      currentPassword: user.password,
      newPassword: "a new password",
    });
    expect(changed).toMatchObject({ __typename: "ChangePasswordSuccess", revokedCount: 1 });
    expect((await client.reauthenticate("a new password")).__typename).toBe("ReauthenticateSuccess");
    expect((await client.revokeAll({ exceptCurrent: true })).__typename).toBe("RevokeAllSessionsSuccess");
    expect(states).toEqual([]);
    expect(client.getSnapshot().status).toBe("signedIn");
  });

  test("is not undone by an answer that was on its way before and says that nobody is signed in", async () => {
    const user = await signUp(node.url);
    const first = Promise.withResolvers<void>();
    let requests = 0;
    const storage = inMemory();
    const client = sdk({
      storage,
      fetch: async (input, init) => {
        requests += 1;
        const isFirst = requests === 1;
        const response = await fetch(input, { ...init, signal: null });
        if (isFirst) await first.promise;
        return response;
      },
    });
    client.subscribe(() => {});
    await client.login({ email: user.email, password: user.password });
    first.resolve();
    expect((await client.sessions()).length).toBe(2);
    expect([client.getSnapshot().status, typeof (await storage.get())]).toEqual(["signedIn", "string"]);
  });

  test("gives the token to the service and to the origins that are named, and to nobody else", async () => {
    const seen: [string, string | null][] = [];
    const { client } = await signedIn({
      origins: ["https://api.example.com"],
      fetch: async (input, init) => {
        const url = String(input);
        if (url.startsWith(node.url)) return fetch(input, init);
        seen.push([url, new Headers(init?.headers).get("authorization")]);
        return new Response("{}");
      },
    });
    await client.fetch("https://api.example.com/orders");
    await client.fetch("https://api.example.com.evil.example/orders");
    await client.fetch("https://elsewhere.example/");
    expect(seen.map(([, authorization]) => authorization !== null)).toEqual([true, false, false]);
  });
});

describe("being signed out", () => {
  test("is told at once, with the reason: a role change ends the client's session", async () => {
    const { client, user } = await signedIn();
    const revoked = Promise.withResolvers<unknown>();
    client.onRevoked(revoked.resolve);
    await node.sql("UPDATE users SET role = 'SUPPORT' WHERE id = $1", [user.userId]);
    expect(await within(5_000, "being told", revoked.promise)).toMatchObject({
      reason: "ROLE_CHANGED",
      message: "You were logged out because your role changed.",
    });
    expect(client.getSnapshot()).toMatchObject({ status: "signedOut", cause: { reason: "ROLE_CHANGED" } });
  });

  test("clears caches before any listener runs, waits for those that take time, and lets one fail", async () => {
    const { client, user } = await signedIn({ onError: (error) => order.push(`heard ${String(error)}`) });
    const order: string[] = [];
    const slow = Promise.withResolvers<void>();
    client.registerCache(() => {
      throw new Error("a broken cache");
    });
    client.registerCache(async () => {
      await slow.promise;
      order.push("cleared");
    });
    client.subscribe(() => order.push("listener"));
    client.onRevoked(() => order.push("revoked"));
    await node.sql("UPDATE sessions SET revoked_at = now() WHERE user_id = $1", [user.userId]);
    await eventually("the state", () => client.getSnapshot().status === "signedOut");
    expect(order).toEqual(["heard Error: a broken cache"]);
    slow.resolve();
    await eventually("the listeners", () => order.includes("revoked"));
    expect(order.slice(1)).toEqual(["cleared", "listener", "revoked"]);
  });

  test("aborts what is under way, and drops an answer that comes late", async () => {
    const answer = Promise.withResolvers<void>();
    let isHeld = false;
    const { client, user } = await signedIn({
      // An answer that is there already and only has to be handed over, past any abort.
      fetch: async (input, init) => {
        const response = await fetch(input, { ...init, signal: null });
        if (isHeld) await answer.promise;
        return response;
      },
    });
    isHeld = true;
    const [run, fetched] = [
      client.run(ViewerDocument, {}),
      client.fetch(`${node.url}/graphql?query={__typename}`),
    ];
    const outcomes = Promise.allSettled([run, fetched]);
    await node.sql("UPDATE sessions SET revoked_at = now() WHERE user_id = $1", [user.userId]);
    await untilStatus(client, "signedOut");
    answer.resolve();
    for (const outcome of await outcomes) {
      expect(outcome.status === "rejected" && outcome.reason).toBeInstanceOf(SignedOutError);
    }
  });

  test("by oneself has no cause and is no news: the session ends at the service with LOGOUT", async () => {
    const storage = inMemory();
    const { client, sessionId } = await signedIn({ storage });
    const revoked: unknown[] = [];
    client.onRevoked((cause) => revoked.push(cause));
    await client.logout();
    expect(client.getSnapshot()).toEqual({ status: "signedOut", cause: undefined });
    const rows = await node.sql("SELECT revocation_reason FROM sessions WHERE id = $1", [sessionId]);
    expect(rows).toEqual([{ revocation_reason: "LOGOUT" }]);
    expect([revoked, await storage.get()]).toEqual([[], undefined]);
  });

  test("cannot be had offline: a logout that did not reach the service says so, and one is still in", async () => {
    const { client } = await signedIn({}, viaPath());
    path.set("refusing");
    await expect(client.logout()).rejects.toBeInstanceOf(UnavailableError);
    expect(client.getSnapshot().status).toBe("signedIn");
  });

  test("is learnt on return by whoever was offline when it happened", async () => {
    const { client, user } = await signedIn({}, viaPath());
    path.set("refusing");
    await node.sql("UPDATE users SET role = 'SUPPORT' WHERE id = $1", [user.userId]);
    await expect(client.run(ViewerDocument, {})).rejects.toBeInstanceOf(UnavailableError);
    expect(client.getSnapshot().status).toBe("signedIn");
    path.set("open");
    const { cause } = await untilStatus(client, "signedOut", 30_000);
    expect(cause?.reason).toBe("ROLE_CHANGED");
  });

  test("is learnt from any answer, and once: ten queries that are refused make one sign-out", async () => {
    const user = await signUp(node.url);
    const client = sdk({ webSocketImpl: DeafWebSocket });
    await client.login({ email: user.email, password: user.password });
    let told = 0;
    client.onRevoked(() => {
      told += 1;
    });
    await node.sql("UPDATE sessions SET revoked_at = now() WHERE user_id = $1", [user.userId]);
    await settle(node.url);
    const outcomes = await Promise.allSettled(Array.from({ length: 10 }, () => client.sessions()));
    expect(outcomes.every(({ status }) => status === "rejected")).toBe(true);
    expect(client.getSnapshot()).toMatchObject({
      status: "signedOut",
      cause: { reason: "REVOKED_BY_ADMIN" },
    });
    expect(told).toBe(1);
  });
});

test("where no WebSocket gets through, a client is told over server-sent events", async () => {
  const user = await signUp(node.url);
  const begun = Promise.withResolvers<void>();
  const client = sdk({
    webSocketImpl: DeafWebSocket,
    fetch: async (input, init) => {
      const response = await fetch(input, init);
      if (response.headers.get("content-type")?.startsWith("text/event-stream")) begun.resolve();
      return response;
    },
  });
  await client.login({ email: user.email, password: user.password });
  await within(30_000, "a stream", begun.promise);
  await node.sql("UPDATE users SET role = 'SUPPORT' WHERE id = $1", [user.userId]);
  expect((await untilStatus(client, "signedOut")).cause?.reason).toBe("ROLE_CHANGED");
}, 60_000);

test("500 clients come back from a restart spread over seconds, not all at once", async () => {
  const database = await createTestDatabase("postgres");
  const arrivals: number[] = [];
  let isRestarted = false;
  class WatchedWebSocket extends WebSocket {
    constructor(url: string, protocols?: string) {
      super(url, protocols);
      if (isRestarted) arrivals.push(performance.now());
    }
  }
  const all: SessionClient[] = [];
  try {
    const first = await startTestNode("postgres", { on: database });
    const user = await signUp(first.url);
    const tokens = Array.from({ length: 500 }, () => createToken("session"));
    await first.sql(
      `INSERT INTO sessions (id, user_id, token_hash, credential_version, expires_at)
       SELECT gen_random_uuid(), $1, hash, 1, now() + interval '1 day' FROM unnest($2::text[]) AS given(hash)`,
      [user.userId, tokens.map(({ tokenHash }) => tokenHash)],
    );
    for (const { token } of tokens) {
      const storage = { get: () => token, set() {} };
      const client = createSdk(first.url, { storage, webSocketImpl: WatchedWebSocket });
      client.subscribe(() => {});
      all.push(client);
    }
    const online = async () => {
      const { data } = await user.run(MySessionsDocument);
      return data?.mySessions.filter((session) => session.online).length;
    };
    await eventually("500 connections", async () => (await online()) === 500, 60_000);
    isRestarted = true;
    await first.stop();
    const second = await startTestNode("postgres", {
      on: database,
      settings: { PORT: new URL(first.url).port },
    });
    try {
      await eventually("500 connections again", async () => (await online()) === 500, 60_000);
      expect(all.every((client) => client.getSnapshot().status === "signedIn")).toBe(true);
      const [begin = 0] = arrivals.toSorted((left, right) => left - right);
      const perHalfSecond = Map.groupBy(arrivals, (at) => Math.floor((at - begin) / 500));
      expect(perHalfSecond.size).toBeGreaterThanOrEqual(4);
      expect(Math.max(...[...perHalfSecond.values()].map((together) => together.length))).toBeLessThan(250);
    } finally {
      for (const client of all) client.close();
      await second.stop();
    }
  } finally {
    for (const client of all) client.close();
    await database.remove();
  }
}, 180_000);

describe("nobody is signed out", () => {
  test("by a network that is lost, nor by one that is silent, and the connection comes back", async () => {
    const { client, user } = await signedIn({}, viaPath());
    const revoked: unknown[] = [];
    client.onRevoked((cause) => revoked.push(cause));
    path.set("refusing");
    await eventually("the connection to be gone", async () => {
      const { data } = await user.run(MySessionsDocument);
      return data?.mySessions.every((session) => session.current || !session.online) ?? false;
    });
    path.set("open");
    await untilOnline(user);
    expect([client.getSnapshot().status, revoked]).toEqual(["signedIn", []]);
  }, 60_000);

  test("by a node that cannot confirm the log (1013), and the client comes back to it", async () => {
    const database = await createTestDatabase("postgres");
    const url = new URL(database.settings["DATABASE_URL"] ?? "");
    const way = await startTcpProxy(Number(url.port));
    url.port = String(way.port);
    try {
      const cut = await startTestNode("postgres", {
        on: { ...database, settings: { ...database.settings, DATABASE_URL: url.href } },
        settings: { REVOCATION_BOUND_MS: "2000" },
      });
      const codes: number[] = [];
      class WatchedWebSocket extends WebSocket {
        constructor(address: string, protocols?: string) {
          super(address, protocols);
          this.addEventListener("close", ({ code }) => codes.push(code));
        }
      }
      try {
        const user = await signUp(cut.url);
        const client = sdk({ webSocketImpl: WatchedWebSocket }, cut.url);
        await client.login({ email: user.email, password: user.password });
        await untilOnline(user);
        way.set("refusing");
        await eventually("the close", () => codes.includes(1013), 20_000);
        way.set("open");
        await eventually(
          "the node to answer again",
          async () => (await fetch(`${cut.url}/readyz`)).ok,
          20_000,
        );
        await untilOnline(user);
        expect(client.getSnapshot().status).toBe("signedIn");
        client.close();
      } finally {
        way.set("open");
        await cut.stop();
      }
    } finally {
      await way.close();
      await database.remove();
    }
  }, 90_000);

  test("by a restart of the node (1012), and the client comes back to it", async () => {
    const database = await createTestDatabase("postgres");
    try {
      const first = await startTestNode("postgres", { on: database });
      const port = new URL(first.url).port;
      const user = await signUp(first.url);
      const client = sdk({}, first.url);
      await client.login({ email: user.email, password: user.password });
      await untilOnline(user);
      await first.stop();
      const second = await startTestNode("postgres", { on: database, settings: { PORT: port } });
      try {
        await untilOnline(user);
        expect(client.getSnapshot().status).toBe("signedIn");
        await second.sql("UPDATE users SET status = 'DEACTIVATED' WHERE id = $1", [user.userId]);
        expect((await untilStatus(client, "signedOut")).cause?.reason).toBe("USER_DEACTIVATED");
      } finally {
        client.close();
        await second.stop();
      }
    } finally {
      await database.remove();
    }
  }, 60_000);
});

/** A WebSocket that reaches nobody: what is learnt is learnt over HTTP. */
class DeafWebSocket extends WebSocket {
  constructor(_url: string, protocols?: string) {
    super("ws://127.0.0.1:9", protocols);
  }
}
