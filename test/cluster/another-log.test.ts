import { appendFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { LogoutDocument, ViewerDocument } from "../../src/client/generated/graphql.ts";
import type { NodeOptions } from "../../src/main.ts";
import { logIn, signUp, type TestUser } from "../kit/client.ts";
import { eventually, within } from "../kit/deadline.ts";
import { startTestNode, type TestNode } from "../kit/node.ts";
import { createPostgresServer, type PostgresServer } from "../kit/postgres-server.ts";
import { openRawWebSocket } from "../kit/raw-websocket.ts";
import { followEvents, subscribeByWebSocket, type WebSocketSubscriber } from "../kit/subscriber.ts";
import { startTcpProxy, type TcpProxy } from "../kit/tcp-proxy.ts";
import { MUTANTS } from "./mutants.ts";

const DATABASE = "app";
const BOUND_MS = 5_000;

/** A node on a server that can be exchanged behind its back. */
interface World {
  readonly node: TestNode;
  readonly path: TcpProxy;
  readonly primary: PostgresServer;
  /** Whoever is in the database at the time that everything is later set back to. */
  readonly kept: TestUser;
  readonly keptSubscriber: WebSocketSubscriber;
}

async function createWorld(options: NodeOptions = {}): Promise<World> {
  const primary = await createPostgresServer();
  onTestFinished(() => primary.remove());
  await primary.start();
  await primary.query("postgres", `CREATE DATABASE ${DATABASE}`);
  const path = await startTcpProxy(primary.port);
  onTestFinished(() => path.close());
  const url = `postgresql://postgres:postgres@127.0.0.1:${path.port}/${DATABASE}`;
  const node = await startTestNode("postgres", {
    ...options,
    on: { kind: "postgres", settings: { DATABASE_URL: url }, remove: async () => {} },
    settings: { REVOCATION_BOUND_MS: String(BOUND_MS) },
  });
  onTestFinished(() => node.stop());
  const kept = await signUp(node.url);
  const keptSubscriber = await subscribeByWebSocket(node.url, kept.token);
  return { node, path, primary, kept, keptSubscriber };
}

/** What a node does wrong after the log has changed behind it: nothing, if it is right. */
async function violationsAfterwards(
  { node, kept, keptSubscriber }: World,
  lost: TestUser,
): Promise<string[]> {
  const violations: string[] = [];
  const isServed = async (user: TestUser) =>
    (await user.run(ViewerDocument)).data?.viewer?.id === user.userId;
  await eventually("whoever is still in the database is served", () => isServed(kept), 20_000);
  // The ids of these are, for the most part, those of the events that were lost. Each logout waits until the node has
  // read the log, so afterwards it knows what there is to know, and believes its memory again.
  for (let count = 0; count < 10; count++) await (await logIn(node.url, kept)).run(LogoutDocument);
  if (await isServed(lost)) violations.push("a session lives on that is in no database");
  const another = await logIn(node.url, kept);
  await node.database.prisma.session.update({
    where: { id: another.sessionId },
    data: { revokedAt: new Date() },
  });
  const isRefused = async () => !(await isServed(another));
  if (!(await holds(isRefused))) violations.push("a revocation is not seen");
  await node.database.prisma.session.update({
    where: { id: kept.sessionId },
    data: { revokedAt: new Date() },
  });
  const told = within(3_000, "the event", keptSubscriber.next()).then(
    () => true,
    () => false,
  );
  if (!(await told)) violations.push("a subscriber is not told");
  return violations;
}

/** Whether it becomes so within the bound. */
function holds(ask: () => Promise<boolean>): Promise<boolean> {
  return eventually("", ask, BOUND_MS).then(
    () => true,
    () => false,
  );
}

/** A restored backup: the files as they were, after a hundred events. */
async function restoreBackup(world: World): Promise<TestUser> {
  const { node, primary, path, kept } = world;
  await primary.stop();
  const backup = await primary.copy();
  onTestFinished(() => backup.remove());
  await primary.start();
  const isUp = () => logIn(node.url, kept).then(Boolean, () => false);
  await eventually("the node serves again", isUp, 20_000);
  for (let count = 0; count < 50; count++) await (await logIn(node.url, kept)).run(LogoutDocument);
  const lost = await logIn(node.url, kept);
  await lost.run(ViewerDocument);
  await primary.stop("immediate");
  await backup.start();
  path.leadTo(backup.port);
  return lost;
}

/** A failover to a standby that lags: the last commits are lost, and their ids are used again. */
async function failOver(world: World): Promise<TestUser> {
  const { node, primary, path, kept } = world;
  await primary.stop();
  const standby = await primary.copy();
  onTestFinished(() => standby.remove());
  await writeFile(join(standby.folder, "standby.signal"), "");
  await appendFile(
    join(standby.folder, "postgresql.auto.conf"),
    `primary_conninfo = 'host=127.0.0.1 port=${primary.port} user=postgres password=postgres'\n`,
  );
  await primary.start();
  await standby.start();
  const isUp = () => logIn(node.url, kept).then(Boolean, () => false);
  await eventually("the node serves again", isUp, 20_000);
  const isInStep = async () => {
    const count = "SELECT count(*)::int AS events FROM session_event";
    const [ours, theirs] = await Promise.all([
      primary.query(DATABASE, count),
      standby.query(DATABASE, count),
    ]);
    return ours[0]?.["events"] === theirs[0]?.["events"];
  };
  await eventually("the standby follows", isInStep, 20_000);
  await standby.stop();
  for (let count = 0; count < 5; count++) await (await logIn(node.url, kept)).run(LogoutDocument);
  const lost = await logIn(node.url, kept);
  await lost.run(ViewerDocument);
  await primary.stop("immediate");
  await standby.start();
  // A standby that is not promoted yet must not be believed.
  path.leadTo(standby.port);
  const said = () => node.logged.join("").includes("standby") || node.logged.join("").includes("recovery");
  await eventually("the standby is refused", said, 20_000);
  await standby.query("postgres", "SELECT pg_promote()");
  return lost;
}

describe("a log that changed behind a node", () => {
  test("by a restored backup is noticed: lost sessions die, the others live on, and nothing is missed", async () => {
    const world = await createWorld();
    const lost = await restoreBackup(world);
    expect(await violationsAfterwards(world, lost)).toEqual([]);
  }, 120_000);

  test("by a failover that lost commits is noticed as well", async () => {
    const world = await createWorld();
    const lost = await failOver(world);
    expect(await violationsAfterwards(world, lost)).toEqual([]);
  }, 120_000);

  test("would not be noticed by a cursor without an anchor", async () => {
    const world = await createWorld(MUTANTS.noAnchor());
    const lost = await restoreBackup(world);
    expect(await violationsAfterwards(world, lost)).toContain("a session lives on that is in no database");
  }, 120_000);

  test("closes the sockets of lost sessions with 1013; they come back to hear that they are nobody's", async () => {
    const { node, kept } = await createWorld();
    const feed = await followEvents(node.url, kept.token);
    const lost = await logIn(node.url, kept);
    // From here on the node's cursor is anchored at this event.
    expect(await feed.next()).toMatchObject({ sessionId: lost.sessionId });
    const socket = await openRawWebSocket(node.url);
    socket.send({ type: "connection_init", payload: { authorization: `Bearer ${lost.token}` } });
    await socket.next("connection_ack");
    // What a restored backup does to one session: neither the row nor its events were ever there.
    await node.sql("ALTER TABLE sessions DISABLE TRIGGER USER");
    await node.sql("ALTER TABLE session_event DISABLE TRIGGER USER");
    await node.sql("DELETE FROM sessions WHERE id = $1", [lost.sessionId]);
    await node.sql("DELETE FROM session_event WHERE session_id = $1", [lost.sessionId]);
    await node.sql("ALTER TABLE sessions ENABLE TRIGGER USER");
    await node.sql("ALTER TABLE session_event ENABLE TRIGGER USER");
    expect(await socket.next("close")).toMatchObject({ code: 1013 });
    const again = await openRawWebSocket(node.url);
    again.send({ type: "connection_init", payload: { authorization: `Bearer ${lost.token}` } });
    expect(await again.next("close")).toMatchObject({ code: 4403 });
    expect((await kept.run(ViewerDocument)).data?.viewer?.id).toBe(kept.userId);
  }, 60_000);
});
