import { spawn } from "node:child_process";
import { once } from "node:events";
import { copyFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { publint } from "publint";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { IssueAccessTokenDocument, LogoutDocument } from "../../src/client/generated/graphql.ts";
import { signUp } from "../kit/client.ts";
import { eventually } from "../kit/deadline.ts";
import { startTestNode } from "../kit/node.ts";
import { findTypeProblems, installPacked, type ScratchProject, type TypeProblem } from "../kit/packed.ts";
import { createService } from "../kit/services.ts";

describe("the verifier's package", () => {
  let project: ScratchProject;
  beforeAll(async () => {
    project = await installPacked("verifier");
  });
  afterAll(() => project.remove());

  test("holds its entries with their types, and no sources", () => {
    for (const entry of ["verifier", "http", "express", "fastify", "hono", "ws", "graphql-ws", "socket-io"]) {
      expect(project.files).toContain(`dist/${entry}.js`);
      expect(project.files).toContain(`dist/${entry}.d.ts`);
    }
    expect(project.files.filter((file) => file.endsWith(".ts") && !file.endsWith(".d.ts"))).toEqual([]);
  });

  test("satisfies publint, and has types that resolve (arethetypeswrong)", async () => {
    const { messages } = await publint({
      pkgDir: join(project.folder, "node_modules/@live-logout/verifier"),
    });
    expect(messages).toEqual([]);
    const isExpected = ({ kind, resolutionKind = "" }: TypeProblem) =>
      /^(CJSResolvesToESM|NoResolution)$/.test(kind) && /^node(10|16-cjs)$/.test(resolutionKind);
    const problems = await findTypeProblems(project.tarball);
    expect(problems.filter((problem) => !isExpected(problem))).toEqual([]);
  });

  test("is all that the example needs, which refuses a token once its session has ended", async () => {
    const node = await startTestNode("postgres");
    onTestFinished(() => node.stop());
    const { token } = await createService(node.url, ["EVENTS_READ"]);
    const script = join(project.folder, "server.mjs");
    await copyFile(join(import.meta.dirname, "../../docs/examples/node-service/server.js"), script);
    const example = spawn(process.execPath, [script], {
      env: { PATH: process.env["PATH"], LOGIN_URL: node.url, SERVICE_TOKEN: token, PORT: "0" },
      stdio: ["ignore", "pipe", "pipe"],
    });
    onTestFinished(() => void example.kill("SIGKILL"));
    const [line] = (await once(example.stdout, "data")) as [Buffer];
    const url = /http:\S+/.exec(String(line))?.[0] ?? "";
    const user = await signUp(node.url);
    const { data } = await user.run(IssueAccessTokenDocument);
    const headers = { authorization: `Bearer ${data?.issueAccessToken.token}` };
    expect(await (await fetch(url, { headers })).text()).toBe(`Hello ${user.userId}, you are USER.\n`);
    await user.run(LogoutDocument);
    await eventually("it is refused", async () => (await fetch(url, { headers })).status === 401);
    expect(await (await fetch(url, { headers })).json()).toEqual({
      error: "session_ended",
      reason: "LOGOUT",
    });
  });
});
