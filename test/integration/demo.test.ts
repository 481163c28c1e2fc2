import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { StatisticsDocument } from "../../src/client/generated/graphql.ts";
import { logIn } from "../kit/client.ts";
import { eventually } from "../kit/deadline.ts";
import { removeFolder, temporaryFolder } from "../kit/folders.ts";
import { type ServiceProcess, spawnService } from "../kit/service-process.ts";

const ADMINISTRATOR = { email: "admin@demo.example", password: "live-logout demo" };

async function useFolder(): Promise<string> {
  const folder = await temporaryFolder("demo");
  onTestFinished(() => removeFolder(folder));
  return folder;
}

function startDemo(settings: Readonly<Record<string, string>>): ServiceProcess {
  const demo = spawnService(settings, { script: "src/cli/demo.ts" });
  onTestFinished(async () => {
    demo.child.kill("SIGKILL");
    await demo.exited;
  });
  return demo;
}

describe("the demo", () => {
  test("makes up a week of users and sessions and a stream of sign-ins, once, in a log that holds", async () => {
    const DATA_DIR = await useFolder();
    const demo = startDemo({ DATA_DIR });
    const url = await demo.ready();
    await eventually(
      "it says how to sign in",
      () => demo.output().stdout.includes(ADMINISTRATOR.password),
      30_000,
    );
    const admin = await logIn(url, ADMINISTRATOR);
    const weekAgo = new Date(Date.now() - 604_800_000).toISOString();
    const ask = async () =>
      (await admin.run(StatisticsDocument, { from: weekAgo, intervals: 7 })).data?.statistics ??
      expect.fail("no statistics");
    const week = await ask();
    expect(week.users).toBe(301);
    for (const { signIns, revocations } of week.intervals) {
      expect(signIns).toBeGreaterThan(50);
      expect(revocations.length).toBeGreaterThan(3);
    }
    await eventually("visitors come", async () => (await ask()).connectedSessions >= 2, 30_000);

    demo.child.kill("SIGTERM");
    expect(await demo.exited).toMatchObject({ code: 0 });
    const verification = spawnService(
      { DATA_DIR: join(DATA_DIR, "demo") },
      { script: "src/cli/verify-log.ts" },
    );
    expect(await verification.exited).toMatchObject({ code: 0 });

    const again = startDemo({ DATA_DIR });
    const admin2 = await logIn(await again.ready(), ADMINISTRATOR);
    expect((await admin2.run(StatisticsDocument, {})).data?.statistics.users).toBe(301);
  }, 120_000);

  test.each([
    ["in production", { NODE_ENV: "production" }, "NODE_ENV"],
    [
      "on a database that may hold real users",
      { DATABASE_URL: "postgresql://127.0.0.1/app" },
      "unset DATABASE_URL",
    ],
    ["where others could reach it", { HOST: "0.0.0.0" }, "unset HOST"],
  ])("is refused %s", async (_where, settings, message) => {
    const demo = startDemo({ ...settings, DATA_DIR: await useFolder() });
    expect(await demo.exited).toMatchObject({ code: 1 });
    expect(demo.output().stderr).toContain(message);
    expect(demo.output().stdout).toBe("");
  });
});
