import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import process from "node:process";
import { describe, expect, onTestFinished, test } from "vitest";
import { logIn, logInByCookie, signUp } from "../kit/client.ts";
import { eventually } from "../kit/deadline.ts";
import { startNginx } from "../kit/nginx.ts";
import { ADMIN, startTestNode } from "../kit/node.ts";
import { freePort } from "../kit/postgres-server.ts";
import { findProgram } from "../kit/program.ts";

const EXAMPLE = join(import.meta.dirname, "../../docs/examples/nginx-auth-request");
const NGINX = findProgram("nginx", "auth_request is");

/** Runs nginx with the example's configuration until the test has finished; gives back where it listens. */
async function startProxy(login: string, app: string): Promise<string> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  await startNginx(NGINX, {
    configFile: join(EXAMPLE, "nginx.conf"),
    instead: {
      "listen 8080": `listen 127.0.0.1:${port}`,
      "127.0.0.1:4000": new URL(login).host,
      "127.0.0.1:5000": new URL(app).host,
    },
    isUp: () =>
      fetch(url).then(
        () => true,
        () => false,
      ),
  });
  return url;
}

/** The example's app as a process of its own. */
async function startApp(): Promise<string> {
  const app = spawn(process.execPath, [join(EXAMPLE, "app.js")], {
    env: { PATH: process.env["PATH"], PORT: "0" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  onTestFinished(() => void app.kill("SIGKILL"));
  const [line] = (await once(app.stdout, "data")) as [Buffer];
  return /http:\S+/.exec(String(line))?.[0] ?? "";
}

describe.skipIf(NGINX.isMissing)("nginx with auth_request", () => {
  test("lets a live session through with who it is, and stops it right after the revocation", async () => {
    const node = await startTestNode("postgres", { settings: { TRUST_PROXY: "loopback" } });
    onTestFinished(() => node.stop());
    const url = await startProxy(node.url, await startApp());
    expect((await fetch(url)).status).toBe(401);

    const user = await signUp(url);
    const browser = await logInByCookie(url, user);
    const ask = (headers: Record<string, string>) => fetch(url, { headers });
    const cookie = { cookie: `session=${browser.token}` };
    for (const credentials of [cookie, { authorization: `Bearer ${user.token}` }]) {
      const answer = await ask({ ...credentials, "x-auth-user-id": "somebody else" });
      expect([answer.status, await answer.text()]).toEqual([200, `Hello ${user.userId}, you are USER.\n`]);
    }
    const admin = await logIn(url, ADMIN);
    await admin.run(`mutation { revokeSession(id: "${browser.sessionId}") { __typename } }`);
    expect((await ask(cookie)).status).toBe(401);
    // The other device lives on.
    expect((await ask({ authorization: `Bearer ${user.token}` })).status).toBe(200);
    await node.sql("UPDATE users SET status = 'DEACTIVATED' WHERE id = $1", [user.userId]);
    await eventually("nobody of that user is let through", async () => {
      return (await ask({ authorization: `Bearer ${user.token}` })).status === 401;
    });
  });
});
