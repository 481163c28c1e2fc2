import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ViewerDocument } from "../../src/client/generated/graphql.ts";
import { logIn, signUp, type TestUser } from "../kit/client.ts";
import { createTestDatabase, DATABASES } from "../kit/databases.ts";
import { ADMIN, startTestNode, type TestNode } from "../kit/node.ts";

const ROLES = "AUDITOR:read-sessions,MODERATOR:read-sessions+end-sessions,CLERK:change-users,MEMBER";

describe.each(DATABASES)("roles of one's own on the %s database", (kind) => {
  let node: TestNode;
  let admin: TestUser;
  beforeAll(async () => {
    node = await startTestNode(kind, { settings: { ROLES } });
    admin = await logIn(node.url, ADMIN);
  });
  afterAll(() => node.stop());

  // The generated types know the built-in roles only; an enum's value in the document needs none.
  const setRole = async (by: TestUser, userId: string, role: string) => {
    const { data, errors } = await by.run<{ changeUserRole: { user?: { role: string } } }, unknown>(
      `mutation { changeUserRole(userId: "${userId}", role: ${role}) { ... on UserSuccess { user { role } } } }`,
    );
    return data?.changeUserRole.user?.role ?? errors[0]?.extensions?.["code"];
  };
  async function someone(role: string): Promise<TestUser> {
    const user = await signUp(node.url);
    expect(await setRole(admin, user.userId, role)).toBe(role);
    return logIn(node.url, user);
  }
  const code = async (user: TestUser, query: string) =>
    (await user.run(query)).errors[0]?.extensions?.["code"] ?? "done";

  test("are values of the enum, with what they may do as description", async () => {
    const { data } = await admin.run<
      { __type: { enumValues: { name: string; description: string }[] } },
      unknown
    >('{ __type(name: "Role") { enumValues { name description } } }');
    const values = Object.fromEntries(
      data?.__type.enumValues.map(({ name, description }) => [name, description]) ?? [],
    );
    const names = ["ADMIN", "AUDITOR", "CLERK", "MEMBER", "MODERATOR", "SUPPORT", "USER"];
    expect(Object.keys(values).toSorted()).toEqual(names);
    expect(values["MODERATOR"]).toBe("Also sees anybody's sessions; ends anybody's sessions.");
  });

  test("are read back, filtered by, and log out whoever gets one", async () => {
    const user = await signUp(node.url);
    await setRole(admin, user.userId, "MEMBER");
    expect((await user.run(ViewerDocument)).errors[0]?.extensions?.["reason"]).toBe("ROLE_CHANGED");
    const { data } = await admin.run<{ users: { edges: { node: { id: string; role: string } }[] } }, unknown>(
      "{ users(role: MEMBER) { edges { node { id role } } } }",
    );
    expect(data?.users.edges.map((edge) => edge.node)).toContainEqual({ id: user.userId, role: "MEMBER" });
  });

  test("may do what the setting gives them and nothing else", async () => {
    const victim = await signUp(node.url);
    const read = "{ sessions(first: 1) { totalCount } }";
    const end = `mutation { revokeAllSessions(userId: "${victim.userId}") { __typename ... on RevokeAllSessionsSuccess { revokedCount } } }`;
    const policy = "mutation { revokeSessions(filter: {}, dryRun: true) { __typename } }";
    const change = `mutation { setUserStatus(userId: "${victim.userId}", status: ACTIVE) { __typename } }`;
    const outcomes: Record<string, unknown> = {};
    for (const role of ["MEMBER", "AUDITOR", "MODERATOR", "CLERK"]) {
      const user = await someone(role);
      outcomes[role] = [await code(user, read), await code(user, policy), await code(user, change)];
      const ended = (await user.run<{ revokeAllSessions: { __typename: string } }, unknown>(end)).data;
      expect([role, ended?.revokeAllSessions.__typename]).toEqual([
        role,
        role === "MODERATOR" ? "RevokeAllSessionsSuccess" : "NotFoundError",
      ]);
    }
    expect(outcomes).toEqual({
      MEMBER: ["FORBIDDEN", "FORBIDDEN", "FORBIDDEN"],
      AUDITOR: ["done", "FORBIDDEN", "FORBIDDEN"],
      MODERATOR: ["done", "FORBIDDEN", "FORBIDDEN"],
      CLERK: ["FORBIDDEN", "FORBIDDEN", "done"],
    });
  });

  test("that change users give nobody more than they have, and touch nobody who has more", async () => {
    const [clerk, user, support] = [await someone("CLERK"), await signUp(node.url), await someone("SUPPORT")];
    expect(await setRole(clerk, user.userId, "ADMIN")).toBe("FORBIDDEN");
    expect(await setRole(clerk, clerk.userId, "ADMIN")).toBe("FORBIDDEN");
    expect(await setRole(clerk, user.userId, "AUDITOR")).toBe("FORBIDDEN");
    expect(await setRole(clerk, support.userId, "USER")).toBe("FORBIDDEN");
    expect(await setRole(clerk, admin.userId, "USER")).toBe("FORBIDDEN");
    expect(await setRole(clerk, user.userId, "MEMBER")).toBe("MEMBER");
  });

  test("that nobody knows, written by plain SQL, may do nothing and read as USER", async () => {
    const user = await signUp(node.url);
    await node.sql("UPDATE users SET role = 'EMPEROR' WHERE id = $1", [user.userId]);
    const emperor = await logIn(node.url, user);
    expect((await emperor.run(ViewerDocument)).data?.viewer?.role).toBe("USER");
    expect(await code(emperor, "{ sessions(first: 1) { totalCount } }")).toBe("FORBIDDEN");
    await node.sql("UPDATE users SET role = 'USER' WHERE id = $1", [user.userId]);
  });
});

test.each(DATABASES)("a role that is still in use cannot be removed, on the %s database", async (kind) => {
  const database = await createTestDatabase(kind);
  try {
    const node = await startTestNode(kind, { on: database, settings: { ROLES } });
    const user = await signUp(node.url);
    await node.sql("UPDATE users SET role = 'AUDITOR' WHERE id = $1", [user.userId]);
    await node.stop();
    const settings = { ROLES: "MEMBER" };
    await expect(startTestNode(kind, { on: database, settings })).rejects.toThrow(
      "Users have roles that the setting ROLES does not name: AUDITOR (1 users). Name them there, or",
    );
    await (await startTestNode(kind, { on: database, settings: { ROLES } })).stop();
  } finally {
    await database.remove();
  }
});
