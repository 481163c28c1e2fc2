import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { request } from "node:https";
import { join } from "node:path";
import { promisify } from "node:util";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import WebSocket from "ws";
import { LoginDocument, SessionRevokedDocument } from "../../src/client/generated/graphql.ts";
import { createTestDatabase, type TestDatabase } from "../kit/databases.ts";
import { within } from "../kit/deadline.ts";
import { removeFolder, temporaryFolder } from "../kit/folders.ts";
import { startNginx } from "../kit/nginx.ts";
import { ADMIN, startTestNode, type TestNode } from "../kit/node.ts";
import { freePort } from "../kit/postgres-server.ts";
import { findProgram } from "../kit/program.ts";

const CONFIG = join(import.meta.dirname, "../../docs/deployment/nginx.conf");
const NGINX = findProgram("nginx", "the deployment behind it is");

interface Proxy {
  readonly port: number;
  readonly ca: string;
}

/** Runs nginx with the documented configuration, for these nodes, until the test has finished. */
async function startProxy(nodes: readonly TestNode[]): Promise<Proxy> {
  const folder = await temporaryFolder("certificate");
  onTestFinished(() => removeFolder(folder));
  const [key, certificate] = [join(folder, "key.pem"), join(folder, "certificate.pem")];
  await promisify(execFile)("openssl", [
    ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1"],
    ...["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"],
    ...["-keyout", key, "-out", certificate],
  ]);
  const proxy = { port: await freePort(), ca: await readFile(certificate, "utf8") };
  const upstreams = nodes.map(({ url }, index) => [`127.0.0.1:400${index + 1}`, new URL(url).host]);
  await startNginx(NGINX, {
    configFile: CONFIG,
    instead: {
      "worker_connections 20000": "worker_connections 512",
      "/etc/ssl/login.example.com.pem": certificate,
      "/etc/ssl/login.example.com.key": key,
      "listen 443 ssl": `listen 127.0.0.1:${proxy.port} ssl`,
      "server_name login.example.com": "server_name localhost",
      ...Object.fromEntries(upstreams),
    },
    isUp: () =>
      post(proxy, "{ __typename }").then(
        ({ status }) => status === 200,
        () => false,
      ),
  });
  return proxy;
}

interface Answer {
  readonly status: number;
  readonly cookie: string | undefined;
  readonly data: Record<string, unknown> | undefined;
}

/** Asks as a page of the service's own origin does, over TLS, from an address that is not nginx's. */
function post(
  { port, ca }: Proxy,
  query: string,
  { variables, cookie }: { readonly variables?: unknown; readonly cookie?: string } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const origin = `https://localhost:${port}`;
    const headers = { "content-type": "application/json", origin, ...(cookie ? { cookie } : {}) };
    const options = {
      ca,
      method: "POST",
      headers,
      localAddress: "127.0.0.9",
      family: 4,
      agent: false,
    } as const;
    const sent = request(`${origin}/graphql`, options, (response) => {
      let body = "";
      response.on("data", (chunk) => {
        body += chunk;
      });
      response.on("end", () => {
        const cookie = response.headers["set-cookie"]?.[0];
        const data = response.statusCode === 200 ? JSON.parse(body).data : undefined;
        resolve({ status: response.statusCode ?? 0, cookie, data });
      });
    });
    sent.on("error", reject);
    sent.end(JSON.stringify({ query, variables }));
  });
}

describe.skipIf(NGINX.isMissing)("three nodes behind nginx, round robin, with TLS", () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await createTestDatabase("postgres");
    return () => database.remove();
  });

  test("serve a browser's session on all of them, end it live, and live on when one is gone", async () => {
    const nodes: TestNode[] = [];
    for (let count = 0; count < 3; count++) {
      const node = await startTestNode("postgres", {
        on: database,
        settings: { TRUST_PROXY: "loopback", COOKIE_SAMESITE: "Strict", DRAIN_MS: "500" },
      });
      nodes.push(node);
      onTestFinished(() => node.stop());
    }
    const proxy = await startProxy(nodes);

    const login = await post(proxy, String(LoginDocument), { variables: { input: ADMIN } });
    expect(login.cookie).toMatch(/^__Host-Http-session=lls_\w+; .*Secure/);
    const cookie = login.cookie?.split(";")[0] ?? "";
    const viewer = () => post(proxy, "{ viewer { email } currentSession { id ipAddress } }", { cookie });
    for (let count = 0; count < 30; count++) {
      expect((await viewer()).data).toMatchObject({
        viewer: { email: ADMIN.email },
        currentSession: { ipAddress: "127.0.0.9" },
      });
    }

    const sockets = await Promise.all(Array.from({ length: 9 }, () => subscribe(proxy, cookie)));
    const [row] = (await nodes[0]?.sql("SELECT id FROM sessions WHERE revoked_at IS NULL")) ?? [];

    // One node goes; nobody is logged out, and its clients find another.
    await nodes[0]?.stop();
    for (let count = 0; count < 12; count++) expect((await viewer()).data).toMatchObject({ viewer: {} });
    const closes = await Promise.all(
      sockets.map((socket) => Promise.race([socket.closed, Promise.resolve(undefined)])),
    );
    const gone = closes.filter((close) => close !== undefined);
    expect(gone.length).toBeGreaterThan(0);
    expect(gone).toEqual(gone.map(() => ({ code: 1012, reason: "Service restart" })));

    const live = [...sockets.filter((_socket, index) => !closes[index]), await subscribe(proxy, cookie)];
    await nodes[1]?.sql("UPDATE sessions SET revoked_at = now() WHERE id = $1", [row?.["id"]]);
    for (const socket of live) {
      expect(await within(5_000, "the close", socket.closed)).toEqual({
        code: 4401,
        reason: "Session revoked: REVOKED_BY_ADMIN",
      });
      expect(socket.events).toEqual(["REVOKED_BY_ADMIN"]);
    }
    const refused = await viewer();
    expect(refused.data).toMatchObject({ viewer: null });
    expect(refused.cookie).toMatch(/^__Host-Http-session=; .*Max-Age=0/);
  }, 90_000);
});

/** A browser's socket through nginx: the cookie says who it is. */
async function subscribe({ port, ca }: Proxy, cookie: string) {
  const socket = new WebSocket(`wss://localhost:${port}/graphql`, "graphql-transport-ws", {
    ca,
    headers: { cookie },
    origin: `https://localhost:${port}`,
    localAddress: "127.0.0.9",
    family: 4,
  });
  const events: string[] = [];
  const closed = Promise.withResolvers<{ code: number; reason: string }>();
  const isReady = Promise.withResolvers<void>();
  socket.on("error", isReady.reject);
  socket.on("open", () => socket.send(JSON.stringify({ type: "connection_init" })));
  socket.on("message", (data) => {
    const { type, id, payload } = JSON.parse(String(data));
    if (type === "connection_ack") {
      const query = String(SessionRevokedDocument);
      socket.send(JSON.stringify({ id: "events", type: "subscribe", payload: { query } }));
      socket.send(JSON.stringify({ id: "probe", type: "subscribe", payload: { query: "{ __typename }" } }));
    }
    if (type === "next" && id === "probe") isReady.resolve();
    if (type === "next" && id === "events") events.push(payload.data.sessionRevoked.reason);
  });
  socket.on("close", (code, reason) => closed.resolve({ code, reason: String(reason) }));
  await within(5_000, "the subscription", isReady.promise);
  return { events, closed: closed.promise };
}
