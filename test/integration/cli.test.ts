import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { ViewerDocument } from "../../src/client/generated/graphql.ts";
import { logIn, signUp } from "../kit/client.ts";
import { createTestDatabase, type TestDatabase } from "../kit/databases.ts";
import { eventually } from "../kit/deadline.ts";
import { ADMIN, startTestNode, type TestNode } from "../kit/node.ts";
import { spawnService } from "../kit/service-process.ts";
import { followEvents, subscribeByWebSocket } from "../kit/subscriber.ts";
import { runInTerminal, runPiped } from "../kit/terminal.ts";

const PAGE = await readFile(join(import.meta.dirname, "../../docs/cli.md"), "utf8");

/** Commands of the page with what they print, in the order that they stand there. */
const TRANSCRIPTS = [...PAGE.matchAll(/```console\n\$ npx live-logout ?([^\n]*)\n(.*?)```/gs)].map(
  ([, line = "", output = ""]) => [line, output] as const,
);

/** What differs each time. */
function normalise(output: string): string {
  return output
    .replace(/[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}/g, "<id>")
    .replace(/\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+Z)?/g, "<time>")
    .replace(/PostgreSQL at \S+/, "<database>")
    .replace(/llk_\w+/g, "<token>")
    .replace(/(?<=shown this once: )\S+/g, "<password>")
    .replace(/\d+(s|ms)(?= left)/g, "0s")
    .trim();
}

describe("the command line", () => {
  let node: TestNode;
  let database: TestDatabase;
  let settings: Readonly<Record<string, string>>;
  beforeAll(async () => {
    database = await createTestDatabase("postgres");
    node = await startTestNode("postgres", { on: database });
    settings = database.settings;
  });
  afterAll(async () => {
    await node.stop();
    await database.remove();
  });

  test("does what docs/cli.md shows, in a terminal, from beginning to end", async () => {
    expect(TRANSCRIPTS.length).toBeGreaterThan(12);
    const own = await createTestDatabase("postgres");
    onTestFinished(() => own.remove());
    const service = await startTestNode("postgres", { on: own });
    onTestFinished(() => service.stop());
    const secrets: string[] = [];
    const ids = new Map<string, string>();
    for (const [line, expected] of TRANSCRIPTS) {
      // What an earlier command printed stands in the page with the values of the run that it shows.
      const actual = line.replace(/[0-9a-f]{8}-[0-9a-f-]{27}/g, (id) => ids.get(id) ?? id);
      const { stdout } = await runInTerminal(actual, own.settings, 140);
      expect(`$ ${line}\n${normalise(stdout)}`).toBe(`$ ${line}\n${normalise(expected)}`);
      const idsOf = (text: string) => text.match(/[0-9a-f]{8}-[0-9a-f-]{27}/g) ?? [];
      for (const [index, id] of idsOf(expected).entries()) ids.set(id, idsOf(stdout)[index] ?? id);
      const password = /shown this once: (\S+)/.exec(stdout)?.[1];
      if (password) {
        secrets.push(password);
        // So that there are sessions to be listed and ended.
        await logIn(service.url, { email: /\S+@example\.com/.exec(stdout)?.[0] ?? "", password });
      }
    }
    expect(secrets.length).toBeGreaterThan(0);
  }, 120_000);

  test("logs people out live on a running node: by role, by session, and all that fit", async () => {
    const user = await signUp(node.url);
    const first = await subscribeByWebSocket(node.url, user.token);
    expect(await runPiped(["user", "role", user.email, "SUPPORT"], settings)).toMatchObject({
      code: 0,
      stdout: `${user.email} is SUPPORT; 1 session ended.\n`,
    });
    expect(await first.next()).toMatchObject({ reason: "ROLE_CHANGED" });
    const again = await logIn(node.url, user);
    const second = await subscribeByWebSocket(node.url, again.token);
    expect((await runPiped(["sessions", "revoke", again.sessionId], settings)).code).toBe(0);
    expect(await second.next()).toMatchObject({ reason: "REVOKED_BY_ADMIN" });
    const last = await logIn(node.url, user);
    const third = await subscribeByWebSocket(node.url, last.token);
    const done = await runPiped(["revoke-all", "--where", `user=${user.email}`, "--yes", "--json"], settings);
    expect(JSON.parse(done.stdout)).toEqual({ matching: 1, revoked: 1 });
    expect(await third.next()).toMatchObject({ reason: "POLICY" });
  });

  test("revoke-all without --yes, and a dry run, end nobody", async () => {
    const user = await signUp(node.url);
    for (const flags of [[], ["--dry-run"], ["--dry-run", "--yes"]]) {
      const { code, stdout } = await runPiped(
        ["revoke-all", "--where", `user=${user.email}`, ...flags],
        settings,
      );
      expect([code, stdout]).toEqual([0, "1 session would end.\n"]);
    }
    expect((await user.run(ViewerDocument)).data?.viewer?.id).toBe(user.userId);
  });

  test("shows a progress bar in a terminal, and none in a pipe", async () => {
    const user = await signUp(node.url);
    const line = `revoke-all --where user=${user.email} --yes`;
    const { stdout } = await runInTerminal(line, settings, 100);
    expect(stdout).toContain("100% | 1 of 1 sessions ended");
    expect(stdout).toContain("1 session ended.");
    const piped = await runPiped(["revoke-all", "--where", `user=${user.email}`, "--yes"], settings);
    expect(piped.stderr).toBe("");
    expect(piped.stdout).toBe("0 sessions ended.\n");
  });

  test("a table fits the terminal, and a pipe gets all in lines with tabs", async () => {
    const user = await signUp(node.url, { name: "Somebody with quite a long name" });
    const { stdout } = await runInTerminal(`user list --search ${user.email}`, settings, 72);
    for (const line of stdout.split("\n")) expect(line.length).toBeLessThanOrEqual(72);
    expect(stdout).toContain("…");
    const piped = await runPiped(["user", "list", "--search", user.email], settings);
    const [header = "", row = ""] = piped.stdout.split("\n");
    expect(header.split("\t")).toEqual(["id", "email", "name", "role", "status", "signed up"]);
    expect(row.split("\t").slice(0, 3)).toEqual([user.userId, user.email, "Somebody with quite a long name"]);
    const json = await runPiped(["user", "list", "--search", user.email, "--json"], settings);
    expect(JSON.parse(json.stdout)).toMatchObject([{ email: user.email, role: "USER" }]);
    expect((await runPiped(["user", "list", "--search", "nobody at all"], settings)).stdout).toBe("");
  });

  test("makes users whose password is given, and service accounts whose token works at once", async () => {
    const created = await runPiped(
      ["user", "create", "Given@Example.com", "--name", "Given", "--password-stdin", "--json"],
      settings,
      "a given password\n",
    );
    expect(JSON.parse(created.stdout)).toMatchObject([{ email: "given@example.com" }]);
    expect(created.stderr).toBe("");
    await logIn(node.url, { email: "given@example.com", password: "a given password" });
    const token = await runPiped(["service-account", "create", "Shop", "--scope", "events:read"], settings);
    const follower = await followEvents(node.url, token.stdout.trim());
    const { id } = JSON.parse(
      (await runPiped(["service-account", "list", "--json"], settings)).stdout,
    )[0] as {
      id: string;
    };
    expect((await runPiped(["service-account", "revoke", id], settings)).stdout).toBe("Shop is revoked.\n");
    expect(await follower.closed).toMatchObject({ code: 4401 });
  });

  test("exports and deletes what is kept of one user", async () => {
    const user = await signUp(node.url);
    const subscriber = await subscribeByWebSocket(node.url, user.token);
    const { stdout } = await runPiped(["user", "export", user.email], settings);
    expect(JSON.parse(stdout)).toMatchObject({
      user: { id: user.userId, email: user.email },
      sessions: [{ id: user.sessionId, revokedAt: null }],
      events: [{ type: "SESSION_CREATED", sessionId: user.sessionId }],
    });
    expect(await runPiped(["user", "delete", user.email], settings)).toMatchObject({ code: 0, stdout: "" });
    expect((await user.run(ViewerDocument)).data?.viewer?.id).toBe(user.userId);
    const { stdout: deleted } = await runPiped(["user", "delete", user.email, "--yes"], settings);
    expect(deleted).toBe(`${user.email} is deleted; 1 session ended.\n`);
    expect(await subscriber.next()).toMatchObject({ reason: "REVOKED_BY_ADMIN" });
    expect((await user.run(ViewerDocument)).data?.viewer).toBeNull();
    const again = await runPiped(["user", "export", user.email], settings);
    expect([again.code, again.stdout]).toEqual([1, ""]);
    const last = await runPiped(["user", "delete", ADMIN.email, "--yes"], settings);
    expect([last.code, last.stderr]).toEqual([1, expect.stringMatching(/last active administrator/)]);
  });

  test("events --follow prints what happens as it does, and ends by Ctrl-C", async () => {
    await signUp(node.url);
    const child = spawn(
      process.execPath,
      [
        "--disable-warning=ExperimentalWarning",
        join(import.meta.dirname, "../../src/cli/live-logout.ts"),
        ...["events", "--follow", "--json", "--limit", "1"],
      ],
      { env: { PATH: process.env["PATH"], ...settings } },
    );
    onTestFinished(() => void child.kill("SIGKILL"));
    let printed = "";
    child.stdout.on("data", (chunk) => {
      printed += chunk;
    });
    await eventually("the past is shown", () => printed.includes("\n"), 20_000);
    const user = await signUp(node.url);
    await eventually("what happens is shown", () => printed.includes(user.sessionId));
    const last = JSON.parse(printed.trim().split("\n").at(-1) ?? "{}");
    expect(last).toMatchObject({ type: "SESSION_CREATED", sessionId: user.sessionId, userId: user.userId });
    child.kill("SIGINT");
    expect(await once(child, "close")).toEqual([0, null]);
  });

  test.each<[string, readonly string[], number, RegExp]>([
    ["a command that is none", ["logout-everybody"], 2, /unknown command/],
    ["an option that is none", ["revoke-all", "--everyone"], 2, /unknown option/],
    ["a missing argument", ["user", "role", "ann@example.com"], 2, /missing required argument/],
    ["a condition that is none", ["revoke-all", "--where", "rolle=USER", "--yes"], 1, /is no condition/],
    ["a role that is none", ["revoke-all", "--where", "role=user", "--yes"], 1, /There is no role user/],
    ["a time that is none", ["revoke-all", "--where", "last-seen-before=soon"], 1, /is no time/],
    ["a user who is none", ["user", "role", "nobody@example.com", "ADMIN"], 1, /There is no user nobody/],
    ["a session that is none", ["sessions", "revoke", "x"], 1, /There is no session x/],
    ["a scope that is none", ["service-account", "create", "X", "--scope", "all"], 1, /input\.scopes/],
    [
      "a duration that is none",
      ["service-account", "create", "X", "--scope", "events:read", "--expires", "1y"],
      1,
      /is no duration/,
    ],
    ["a limit that is none", ["user", "list", "--limit", "many"], 1, /--limit takes/],
    [
      "a password that is too short",
      ["user", "create", "a@example.com", "--name", "A", "--password-stdin"],
      1,
      /at least 8/,
    ],
    ["the last administrator", ["user", "deactivate", "admin@example.com"], 1, /last active administrator/],
  ])("refuses %s, saying what to do, with an exit code", async (_what, args, code, message) => {
    const result = await runPiped(args, settings, "short");
    expect(result.code).toBe(code);
    expect(result.stderr).toMatch(message);
    expect(result.stderr).not.toMatch(/^\s+at /m);
    expect(result.stdout).toBe("");
  });

  test("serve prints what docs/cli.md shows and runs a node, until it is told to stop", async () => {
    const own = await createTestDatabase("postgres");
    onTestFinished(() => own.remove());
    const service = spawnService(own.settings, { script: "src/cli/live-logout.ts", args: ["serve"] });
    onTestFinished(() => void service.child.kill("SIGKILL"));
    expect((await fetch(`${await service.ready()}/readyz`)).status).toBe(200);
    const [, shown = ""] = /live-logout serve\n(.*?)```/s.exec(PAGE) ?? [];
    const withoutPorts = (text: string) => normalise(text).replace(/http:\/\/127\.0\.0\.1:\d+/g, "<url>");
    expect(withoutPorts(service.output().stdout)).toBe(withoutPorts(shown));
    service.child.kill("SIGTERM");
    expect(await service.exited).toEqual({ code: 0, signal: null });
  });

  test("says that another process holds the embedded database, and which", async () => {
    const embedded = await createTestDatabase("embedded");
    onTestFinished(() => embedded.remove());
    const holder = await startTestNode("embedded", { on: embedded });
    onTestFinished(() => holder.stop());
    const { code, stderr } = await runPiped(["user", "list"], embedded.settings);
    expect(code).toBe(1);
    expect(stderr).toContain(`in use by process ${process.pid}`);
  });
});
