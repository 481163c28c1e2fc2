import { setTimeout as pause } from "node:timers/promises";
import { describe, expect, onTestFinished, test } from "vitest";
import { MessageMeter } from "../../src/graphql/socket-limits.ts";
import { signUp, type TestUser } from "../kit/client.ts";
import { eventually, within } from "../kit/deadline.ts";
import { metricOf, scrape } from "../kit/metrics.ts";
import { startTestNode, type TestNode } from "../kit/node.ts";
import { openRawWebSocket, type RawWebSocket } from "../kit/raw-websocket.ts";

const SUBSCRIBE = { type: "subscribe", payload: { query: "subscription { sessionRevoked { reason } }" } };

describe("the limits of sockets", () => {
  async function start(
    settings: Readonly<Record<string, string>>,
  ): Promise<{ node: TestNode; user: TestUser }> {
    const node = await startTestNode("postgres", { settings });
    onTestFinished(() => node.stop());
    return { node, user: await signUp(node.url) };
  }
  async function open(node: TestNode, headers: Readonly<Record<string, string>> = {}): Promise<RawWebSocket> {
    const client = await openRawWebSocket(node.url, { headers });
    onTestFinished(() => void client.socket.destroy());
    return client;
  }
  /** What comes of saying who one is: `connection_ack`, or the code of a close. */
  async function connect(client: RawWebSocket, { token }: TestUser): Promise<string> {
    client.send({ type: "connection_init", payload: { authorization: `Bearer ${token}` } });
    const is = (kind: string) => client.next(kind).then(() => kind);
    const outcome = await Promise.race([is("connection_ack"), client.next("close")]);
    return typeof outcome === "string" ? outcome : String(outcome.kind === "close" && outcome.code);
  }

  test("of one address: those beyond are refused before the upgrade, until one has gone", async () => {
    const { node } = await start({ SOCKETS_PER_ADDRESS: "3", TRUST_PROXY: "loopback" });
    const clients = [await open(node), await open(node), await open(node)];
    expect((await open(node)).status).toContain("429 Too Many Requests");
    // Another address, and another way to write the same network.
    expect((await open(node, { "x-forwarded-for": "192.0.2.7" })).status).toContain("101");
    const spellings = ["2001:db8::1", "2001:db8::2", "2001:DB8:0::3", "2001:db8::ffff"];
    const statuses: string[] = [];
    for (const address of spellings) statuses.push((await open(node, { "x-forwarded-for": address })).status);
    expect(statuses.map((status) => /\d{3}/.exec(status)?.[0])).toEqual(["101", "101", "101", "429"]);
    clients[0]?.socket.destroy();
    await eventually("there is room again", async () => (await open(node)).status.includes("101"));
  });

  test("of the node: those beyond are closed with 1013, and come back later", async () => {
    const { node, user } = await start({ SOCKETS: "2" });
    const clients = [await open(node), await open(node)];
    for (const client of clients) expect(await connect(client, user)).toBe("connection_ack");
    expect(await (await open(node)).next("close")).toMatchObject({ code: 1013 });
  });

  test("of one user: those beyond are closed with 1013, and others get in", async () => {
    const { node, user } = await start({ SOCKETS_PER_USER: "2" });
    const clients = [await open(node), await open(node)];
    for (const client of clients) expect(await connect(client, user)).toBe("connection_ack");
    expect(await connect(await open(node), user)).toBe("1013");
    expect(await connect(await open(node), await signUp(node.url))).toBe("connection_ack");
    clients[0]?.socket.destroy();
    await eventually(
      "there is room again",
      async () => (await connect(await open(node), user)) === "connection_ack",
    );
  });

  test("of operations on one socket: the 101st fails, and the socket lives", async () => {
    const { node, user } = await start({});
    const client = await open(node);
    await connect(client, user);
    for (let id = 0; id < 101; id++) client.send({ ...SUBSCRIBE, id: `s${id}` });
    const refused = await client.next("error");
    expect(refused).toMatchObject({
      message: { id: "s100", payload: [{ extensions: { code: "LIMIT_EXCEEDED" } }] },
    });
    client.send({ type: "complete", id: "s0" });
    client.send({ type: "subscribe", id: "after", payload: { query: "{ viewer { id } }" } });
    expect(await client.next("next")).toMatchObject({ message: { id: "after" } });
  });

  test("of messages: a socket that floods is closed, and others go on", async () => {
    const { node, user } = await start({});
    const [flooding, quiet] = [await open(node), await open(node)];
    await connect(flooding, user);
    await connect(quiet, user);
    for (let count = 0; count < 10_000; count++) flooding.send({ type: "ping" });
    expect(await flooding.next("close")).toMatchObject({ code: 1008, reason: "Too many messages" });
    const pongs = flooding.received.filter(
      (item) => item.kind === "message" && item.message["type"] === "pong",
    );
    expect(pongs.length).toBeLessThanOrEqual(200);
    quiet.send({ type: "subscribe", id: "alive", payload: { query: "{ viewer { id } }" } });
    expect(await quiet.next("next")).toMatchObject({ message: { id: "alive" } });
  });

  test("of messages count the pings of the protocol, too", async () => {
    const { node, user } = await start({});
    const client = await open(node);
    await connect(client, user);
    for (let count = 0; count < 300; count++) {
      client.sendFrame("ping", "x".repeat(125));
      // Those that come all at once, without waiting for an answer, make ws itself cut the socket.
      await pause(1);
    }
    expect(await client.next("close")).toMatchObject({ code: 1008 });
    const flooding = await open(node);
    await connect(flooding, user);
    for (let count = 0; count < 10_000; count++) flooding.sendFrame("ping", "x".repeat(125));
    await within(5_000, "its end", flooding.ended);
  });

  test("of what waits for a client that asks and does not read: it is given up, and others go on", async () => {
    const { node, user } = await start({ METRICS_PORT: "0" });
    const [greedy, quiet] = [await open(node), await open(node)];
    await connect(greedy, user);
    await connect(quiet, user);
    // 100 answers of 200 kB are more than the kernel takes for both sides.
    await node.sql(
      `INSERT INTO sessions (id, user_id, token_hash, credential_version, expires_at)
       SELECT gen_random_uuid(), id, encode(sha256(convert_to(number::text, 'UTF8')), 'hex'), credential_version,
              now() + interval '1 day'
       FROM users, generate_series(1, 100) AS number WHERE id = $1`,
      [user.userId],
    );
    const fields = Array.from({ length: 40 }, (_, index) => `field${index}: sessionId`).join(" ");
    const query = `{ sessionEvents(first: 100) { edges { node { ${fields} } } } }`;
    greedy.socket.pause();
    for (let id = 0; id < 100; id++) greedy.send({ type: "subscribe", id: `${id}`, payload: { query } });
    quiet.send({ type: "subscribe", id: "alive", payload: { query: "{ viewer { id } }" } });
    expect(await quiet.next("next")).toMatchObject({ message: { id: "alive" } });
    await eventually(
      "the node has given it up",
      async () => metricOf(await scrape(node), "live_logout_sockets") === 1,
      20_000,
    );
    greedy.socket.resume();
    await within(5_000, "its end", greedy.ended);
    const answers = greedy.received.filter(
      (item) => item.kind === "message" && item.message["type"] === "next",
    );
    expect(answers.length).toBeLessThan(100);
  });

  test("of messages begin anew each second", () => {
    let now = 0;
    const meter = new MessageMeter();
    const burst = () => Array.from({ length: 201 }, () => meter.count(now));
    expect(burst().lastIndexOf(true)).toBe(199);
    now = 999;
    expect(meter.count(now)).toBe(false);
    now = 1_000;
    expect(burst().lastIndexOf(true)).toBe(199);
  });
});
