import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  CreateServiceAccountDocument,
  LogStatusDocument,
  MySessionsDocument,
  RevokeAllSessionsDocument,
  RevokeServiceAccountDocument,
  RevokeSessionDocument,
  RevokeSessionsDocument,
  ServiceAccountsDocument,
  SessionEventsDocument,
  SessionsDocument,
  StartSessionDocument,
  type StartSessionInput,
  UsersDocument,
  ViewerDocument,
} from "../../src/client/generated/graphql.ts";
import { logIn, settle, signUp, withToken } from "../kit/client.ts";
import { DATABASES } from "../kit/databases.ts";
import { ADMIN, startTestNode, type TestNode } from "../kit/node.ts";
import { createService } from "../kit/services.ts";
import { followEvents } from "../kit/subscriber.ts";

describe.each(DATABASES)("service accounts on the %s database", (kind) => {
  let node: TestNode;
  beforeAll(async () => {
    node = await startTestNode(kind);
  });
  afterAll(() => node.stop());
  const codeOf = ({ errors }: { readonly errors: readonly { extensions?: Record<string, unknown> }[] }) =>
    errors[0]?.extensions?.["code"];

  test("are made by an administrator, listed, and hold a token that is stored as a hash only", async () => {
    const service = await createService(node.url, ["EVENTS_READ"], { name: "Search" });
    expect(service.token).toMatch(/^llk_[0-9A-Za-z]{49}$/);
    const admin = await logIn(node.url, ADMIN);
    const { data } = await admin.run(ServiceAccountsDocument);
    expect(data?.serviceAccounts.find(({ id }) => id === service.id)).toMatchObject({
      name: "Search",
      scopes: ["EVENTS_READ"],
      revokedAt: null,
    });
    const rows = await node.sql("SELECT * FROM sessions WHERE user_id = $1", [service.id]);
    expect(JSON.stringify(rows)).not.toContain(service.token);
    const users = await admin.run(UsersDocument, { search: "Search" });
    expect(users.data?.users.totalCount).toBe(0);
  });

  test.each([
    ["no scope", { scopes: [] }, "input.scopes"],
    ["no name", { name: " " }, "input.name"],
    ["a time that is over", { expiresAt: "2020-01-01T00:00:00Z" }, "input.expiresAt"],
    [
      "more than a year",
      { expiresAt: new Date(Date.now() + 400 * 86_400_000).toISOString() },
      "input.expiresAt",
    ],
  ])("are refused with %s", async (_what, change, path) => {
    const admin = await logIn(node.url, ADMIN);
    const input = {
      name: "Bad",
      scopes: ["EVENTS_READ" as const],
      expiresAt: new Date(Date.now() + 60_000).toISOString(),
      ...change,
    };
    const { data } = await admin.run(CreateServiceAccountDocument, { input });
    expect(data?.createServiceAccount).toMatchObject({ __typename: "ValidationError", issues: [{ path }] });
  });

  test("are not for others than ADMIN to make, nor for one that signed in long ago", async () => {
    const user = await signUp(node.url);
    const input = {
      name: "X",
      scopes: ["EVENTS_READ" as const],
      expiresAt: new Date(Date.now() + 60_000).toISOString(),
    };
    expect(codeOf(await user.run(CreateServiceAccountDocument, { input }))).toBe("FORBIDDEN");
    const admin = await logIn(node.url, ADMIN);
    await node.sql("UPDATE sessions SET authenticated_at = now() - interval '1 hour' WHERE id = $1", [
      admin.sessionId,
    ]);
    await settle(node.url);
    const refused = await admin.run(CreateServiceAccountDocument, { input });
    expect(refused.errors[0]?.extensions).toMatchObject({ code: "FORBIDDEN", reason: "REAUTHENTICATE" });
  });

  test("may do what their scopes say and nothing else", async () => {
    const user = await signUp(node.url);
    const [reader, starter, revoker] = [
      await createService(node.url, ["EVENTS_READ"]),
      await createService(node.url, ["SESSIONS_START"]),
      await createService(node.url, ["SESSIONS_REVOKE"]),
    ];
    for (const service of [reader, starter, revoker]) {
      for (const document of [
        ViewerDocument,
        MySessionsDocument,
        SessionsDocument,
        UsersDocument,
        ServiceAccountsDocument,
      ]) {
        expect(codeOf(await service.run(String(document)))).toBe("FORBIDDEN");
      }
      expect(codeOf(await service.run("mutation { logout { __typename } }"))).toBe(
        service === revoker ? undefined : "FORBIDDEN",
      );
    }
    expect(
      (await reader.run(SessionEventsDocument, { userId: user.userId })).data?.sessionEvents.totalCount,
    ).toBe(1);
    expect((await reader.run(LogStatusDocument)).data?.logStatus.stalenessMs).toBeLessThan(10_000);
    expect(codeOf(await starter.run(SessionEventsDocument, {}))).toBe("FORBIDDEN");
    expect(codeOf(await starter.run(LogStatusDocument))).toBe("FORBIDDEN");
    expect(codeOf(await reader.run(RevokeSessionDocument, { id: user.sessionId }))).toBe("FORBIDDEN");
    expect(codeOf(await reader.run(StartSessionDocument, { input: { userId: user.userId } }))).toBe(
      "FORBIDDEN",
    );
    expect(codeOf(await user.run(StartSessionDocument, { input: { userId: user.userId } }))).toBe(
      "FORBIDDEN",
    );
  });

  test("with sessions:revoke end anybody's sessions, and the log names them", async () => {
    const user = await signUp(node.url);
    const second = await logIn(node.url, user);
    const service = await createService(node.url, ["SESSIONS_REVOKE", "EVENTS_READ"], { name: "Fraud" });
    await service.run(RevokeSessionDocument, { id: second.sessionId });
    const { data } = await service.run(RevokeAllSessionsDocument, { userId: user.userId });
    expect(data?.revokeAllSessions).toMatchObject({ revokedCount: 1 });
    expect(codeOf(await user.run(ViewerDocument))).toBe("UNAUTHENTICATED");
    const events = await service.run(SessionEventsDocument, { userId: user.userId, first: 2 });
    for (const { node } of events.data?.sessionEvents.edges ?? []) {
      expect(node).toMatchObject({ reason: "REVOKED_BY_ADMIN", actor: { name: "Fraud" } });
    }
  });

  test("are revoked live: what they follow ends at once, and their token is refused", async () => {
    const service = await createService(node.url, ["EVENTS_READ"]);
    const follower = await followEvents(node.url, service.token);
    const admin = await logIn(node.url, ADMIN);
    const { data } = await admin.run(RevokeServiceAccountDocument, { id: service.id });
    expect(data?.revokeServiceAccount).toMatchObject({ __typename: "RevokeServiceAccountSuccess" });
    expect(await follower.closed).toMatchObject({ code: 4401, reason: "Session revoked: REVOKED_BY_ADMIN" });
    expect(codeOf(await service.run(LogStatusDocument))).toBe("UNAUTHENTICATED");
    expect(
      (await admin.run(RevokeServiceAccountDocument, { id: randomUUID() })).data?.revokeServiceAccount,
    ).toMatchObject({
      __typename: "NotFoundError",
    });
  });

  test("expire, and never fall idle", async () => {
    const service = await createService(node.url, ["EVENTS_READ"]);
    await node.sql("UPDATE sessions SET last_seen_at = now() - interval '300 days' WHERE user_id = $1", [
      service.id,
    ]);
    // Changed, so that the node reads it anew.
    await node.sql("UPDATE sessions SET user_agent = 'x' WHERE user_id = $1", [service.id]);
    await settle(node.url);
    expect((await service.run(LogStatusDocument)).errors).toEqual([]);
    await node.sql("UPDATE sessions SET expires_at = now() WHERE user_id = $1", [service.id]);
    await settle(node.url);
    expect((await service.run(LogStatusDocument)).errors[0]?.extensions).toMatchObject({ reason: "EXPIRED" });
  });

  test("are spared when everyone is logged out", async () => {
    const service = await createService(node.url, ["EVENTS_READ"]);
    const admin = await logIn(node.url, ADMIN);
    const { data } = await admin.run(RevokeSessionsDocument, { filter: {} });
    expect(data?.revokeSessions.__typename).toBe("RevokeAllSessionsSuccess");
    expect((await service.run(LogStatusDocument)).errors).toEqual([]);
  });

  test("cannot be given another role, nor log in with a password", async () => {
    const service = await createService(node.url, ["EVENTS_READ"]);
    const admin = await logIn(node.url, ADMIN);
    const { data } = await admin.run(
      `mutation { changeUserRole(userId: "${service.id}", role: ADMIN) { __typename } }`,
    );
    expect(data).toEqual({ changeUserRole: { __typename: "NotFoundError" } });
    await expect(
      logIn(node.url, { email: `${service.id}@service-account.invalid`, password: "!" }),
    ).rejects.toThrow("InvalidCredentialsError");
  });

  describe("with sessions:start", () => {
    const start = async (input: StartSessionInput) => {
      const service = await createService(node.url, ["SESSIONS_START"], { name: "Single sign-on" });
      const { data } = await service.run(StartSessionDocument, { input });
      return data?.startSession ?? expect.fail("no answer");
    };

    test("begin a session for a user that they have authenticated, told by the client's address and agent", async () => {
      const user = await signUp(node.url);
      const started = await start({
        email: user.email.toUpperCase(),
        ipAddress: "203.0.113.7",
        userAgent: "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0",
      });
      expect(started).toMatchObject({
        __typename: "StartSessionSuccess",
        session: { device: "Firefox on Windows", ipAddress: "203.0.113.7" },
        user: { id: user.userId },
      });
      if (started.__typename !== "StartSessionSuccess") return;
      const client = withToken(node.url, started.token);
      expect((await client.run(ViewerDocument)).data?.viewer?.email).toBe(user.email);
      const events = await client.run(SessionEventsDocument, { first: 1 });
      expect(events.data?.sessionEvents.edges[0]?.node.actor?.name).toBe("Single sign-on");
      await node.sql("UPDATE users SET role = 'SUPPORT' WHERE id = $1", [user.userId]);
      await settle(node.url);
      expect((await client.run(ViewerDocument)).errors[0]?.extensions).toMatchObject({
        reason: "ROLE_CHANGED",
      });
    });

    test("make users who have no password, once", async () => {
      const email = `${randomUUID()}@example.com`;
      const first = await start({ email, name: "Nora New", createUser: true });
      const second = await start({ email, name: "Another name", createUser: true });
      expect(first).toMatchObject({ user: { email, name: "Nora New", role: "USER" } });
      expect(second).toMatchObject({ user: { name: "Nora New" } });
      for (const password of ["!", "", "a password of theirs"]) {
        await expect(logIn(node.url, { email, password })).rejects.toThrow("InvalidCredentialsError");
      }
    });

    test.each<[string, StartSessionInput, object]>([
      ["nobody", { email: "nobody@example.com" }, { __typename: "NotFoundError" }],
      [
        "an id that is none",
        { userId: "x" },
        { __typename: "ValidationError", issues: [{ path: "input.userId" }] },
      ],
      ["neither id nor email", {}, { __typename: "ValidationError", issues: [{ path: "input.userId" }] }],
      ["both", { userId: randomUUID(), email: "a@example.com" }, { __typename: "ValidationError" }],
      [
        "a new user without a name",
        { email: "a@example.com", createUser: true },
        { issues: [{ path: "input.createUser" }] },
      ],
      [
        "an address that is none",
        { email: "a@example.com", ipAddress: "here" },
        { issues: [{ path: "input.ipAddress" }] },
      ],
    ])("begin none for %s", async (_who, input, expected) => {
      expect(await start(input)).toMatchObject(expected);
    });

    test("begin none for a user who is deactivated, nor for a service account", async () => {
      const user = await signUp(node.url);
      await node.sql("UPDATE users SET status = 'DEACTIVATED' WHERE id = $1", [user.userId]);
      expect(await start({ userId: user.userId })).toMatchObject({ __typename: "NotFoundError" });
      const service = await createService(node.url, ["EVENTS_READ"]);
      expect(await start({ userId: service.id })).toMatchObject({ __typename: "NotFoundError" });
    });
  });
});
