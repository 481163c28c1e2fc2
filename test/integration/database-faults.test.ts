import pg from "pg";
import { describe, expect, onTestFinished, test } from "vitest";
import { LogoutDocument, RevokeSessionDocument, ViewerDocument } from "../../src/client/generated/graphql.ts";
import { systemClock } from "../../src/revocation/clock.ts";
import { createTestClient, logIn, signUp } from "../kit/client.ts";
import { createTestDatabase } from "../kit/databases.ts";
import { eventually, within } from "../kit/deadline.ts";
import { startTestNode, type TestNodeOptions } from "../kit/node.ts";
import { send } from "../kit/raw-http.ts";
import { openRawWebSocket } from "../kit/raw-websocket.ts";
import { recordStatements } from "../kit/statements.ts";
import { subscribeBySse, subscribeByWebSocket } from "../kit/subscriber.ts";

async function useNode(options?: TestNodeOptions) {
  const node = await startTestNode("postgres", options);
  onTestFinished(() => node.stop());
  return node;
}

describe("a node", () => {
  test("survives the end of all its connections, and misses no revocation meanwhile (P2)", async () => {
    const node = await useNode();
    const user = await signUp(node.url);
    const subscriber = await subscribeByWebSocket(node.url, user.token);

    await node.sql(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE datname = current_database() AND application_name LIKE 'live-logout%'`,
    );
    await node.sql("UPDATE sessions SET revoked_at = now() WHERE id = $1", [user.sessionId]);

    expect(await subscriber.next()).toMatchObject({ reason: "REVOKED_BY_ADMIN", current: true });
    expect((await within(5_000, "the close", subscriber.closed)).code).toBe(4401);
    await eventually(
      "the node serves again",
      async () => (await signUp(node.url).catch(() => undefined)) !== undefined,
    );
  });

  test("that hears no notification reads the log all the same (P2)", async () => {
    const node = await useNode();
    const user = await signUp(node.url);
    const subscriber = await subscribeByWebSocket(node.url, user.token);
    await node.sql("DROP TRIGGER session_event_notify ON session_event");
    await node.sql("UPDATE sessions SET revoked_at = now() WHERE id = $1", [user.sessionId]);
    expect(await subscriber.next()).toMatchObject({ current: true });
  });

  test("that was paused asks the database before it answers (P3)", async () => {
    let pausedMs = 0;
    const { onQuery, take } = recordStatements();
    const node = await useNode({
      clock: { monotonicMs: () => systemClock.monotonicMs() + pausedMs },
      onQuery,
    });
    const user = await signUp(node.url);
    await user.run(ViewerDocument);
    take();
    pausedMs += 5_000;
    expect((await user.run(ViewerDocument)).data?.viewer?.id).toBe(user.userId);
    expect(take()).not.toEqual([]);
  });

  test("on a machine that slept, which its monotonic clock does not count, asks the database as well (P3)", async () => {
    let sleptMs = 0;
    const { onQuery, take } = recordStatements();
    const node = await useNode({
      wallMs: () => Date.now() + sleptMs,
      onQuery,
    });
    const user = await signUp(node.url);
    await user.run(ViewerDocument);
    take();
    sleptMs += 60_000;
    expect((await user.run(ViewerDocument)).data?.viewer?.id).toBe(user.userId);
    expect(take()).not.toEqual([]);
  });

  test("that cannot read the log trusts nothing in memory, closes sockets with 1013, and heals (P3)", async () => {
    const node = await useNode({ settings: { REVOCATION_BOUND_MS: "2000" } });
    const user = await signUp(node.url);
    const subscriber = await subscribeByWebSocket(node.url, user.token);
    const stream = await subscribeBySse(node.url, user.token);
    const holder = new pg.Client({ connectionString: node.databaseSettings["DATABASE_URL"] });
    await holder.connect();
    onTestFinished(() => holder.end());
    const readiness = async () => (await send(node.url, { method: "GET", path: "/readyz" })).status;
    await holder.query("BEGIN");
    await holder.query("LOCK TABLE session_event IN ACCESS EXCLUSIVE MODE");

    expect(await within(10_000, "the close", subscriber.closed)).toMatchObject({ code: 1013 });
    // Cut without a word, or its client would not come back.
    expect(await within(10_000, "the end of the stream", stream.ended)).not.toBe("complete");
    expect(await readiness()).toBe(503);
    const latecomer = await openRawWebSocket(node.url);
    latecomer.send({ type: "connection_init", payload: { authorization: `Bearer ${user.token}` } });
    expect(await latecomer.next("close")).toMatchObject({ code: 1013 });
    // The sessions can still be read, so requests are checked there; and if they cannot be, nobody is served.
    expect((await user.run(ViewerDocument)).data?.viewer?.id).toBe(user.userId);
    await holder.query("LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE");
    expect(await user.run(ViewerDocument)).toMatchObject({
      status: 503,
      data: undefined,
      errors: [{ extensions: { code: "SERVICE_UNAVAILABLE" } }],
    });
    await holder.query("COMMIT");

    await eventually("the node is ready again", async () => (await readiness()) === 200);
    expect((await user.run(ViewerDocument)).data?.viewer?.id).toBe(user.userId);
    // The stock client has kept trying, and is told what happens next.
    const isBack = () => subscriber.history.filter((entry) => entry === "connected").length === 2;
    await eventually("the client is back", isBack, 30_000);
    await user.run(LogoutDocument);
    expect(await subscriber.next()).toMatchObject({ reason: "LOGOUT", current: true });
  }, 60_000);

  test("whose log is locked by an idle writer says that it cannot serve, and goes on reading", async () => {
    const node = await useNode();
    const user = await signUp(node.url);
    const other = await logIn(node.url, user);
    const writer = new pg.Client({ connectionString: node.databaseSettings["DATABASE_URL"] });
    await writer.connect();
    onTestFinished(() => writer.end());
    await writer.query("BEGIN");
    await writer.query("UPDATE sessions SET expires_at = expires_at + interval '1 day' WHERE id = $1", [
      user.sessionId,
    ]);

    const refused = await user.run(RevokeSessionDocument, { id: other.sessionId });
    expect(refused).toMatchObject({
      status: 503,
      data: undefined,
      errors: [{ extensions: { code: "SERVICE_UNAVAILABLE" } }],
    });
    expect(refused.headers.get("retry-after")).toBe("2");
    expect((await other.run(ViewerDocument)).data?.viewer?.id).toBe(user.userId);

    await writer.query("ROLLBACK");
    const { data } = await user.run(RevokeSessionDocument, { id: other.sessionId });
    expect(data?.revokeSession.__typename).toBe("RevokeSessionSuccess");
  });

  test("says that a revocation failed whose notification the database cannot take, and nothing of it is done", async () => {
    const node = await useNode();
    const user = await signUp(node.url);
    const second = await logIn(node.url, user);
    // What PostgreSQL raises at the commit once 8 GB of notifications wait for a listener that does not come.
    await node.sql(
      `CREATE OR REPLACE FUNCTION session_event_notify() RETURNS trigger LANGUAGE plpgsql AS $$
       BEGIN RAISE EXCEPTION 'too many notifications in the NOTIFY queue' USING ERRCODE = '54000'; END $$`,
    );
    const before = await node.sql("SELECT count(*) FROM session_event");
    const refused = await user.run(RevokeSessionDocument, { id: second.sessionId });
    expect(refused).toMatchObject({ status: 503, errors: [{ extensions: { code: "SERVICE_UNAVAILABLE" } }] });
    expect((await second.run(ViewerDocument)).data?.viewer?.id).toBe(user.userId);
    expect(await node.sql("SELECT count(*) FROM session_event")).toEqual(before);
  });

  test("warns at the start if its database lets writers sit on that lock for ever", async () => {
    const database = await createTestDatabase("postgres");
    onTestFinished(() => database.remove());
    const warning = /idle_in_transaction_session_timeout/;
    const warned = await startTestNode("postgres", { on: database });
    expect(warned.logged.join("")).toMatch(warning);
    const name = database.settings["DATABASE_URL"]?.split("/").at(-1);
    await warned.sql(`ALTER DATABASE ${name} SET idle_in_transaction_session_timeout = '30s'`);
    await warned.stop();
    const content = await startTestNode("postgres", { on: database });
    expect(content.logged.join("")).not.toMatch(warning);
    await content.stop();
  });

  test("answers others during a storm of logins, of which it looks at some and turns the rest away", async () => {
    const node = await useNode();
    const user = await signUp(node.url);
    const input = `email: "${user.email}", password: "not this one", returnToken: true`;
    const client = createTestClient(node.url);
    const storm = Array.from({ length: 150 }, () =>
      client.run<{ login: { __typename: string } }, unknown>(
        `mutation { login(input: { ${input} }) { __typename } }`,
      ),
    );
    for (let count = 0; count < 10; count++) {
      expect((await user.run(ViewerDocument)).data?.viewer?.id).toBe(user.userId);
    }
    const answers = (await Promise.all(storm)).map((answer) => answer.data?.login.__typename);
    expect(new Set(answers)).toEqual(new Set(["InvalidCredentialsError", "TooManyAttemptsError"]));
    await user.run(LogoutDocument);
  });
});
