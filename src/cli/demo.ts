import { join } from "node:path";
import process from "node:process";
import argon2 from "argon2";
import { seedPastWeek } from "../demo/past-week.ts";
import { makePeople } from "../demo/people.ts";
import { startVisitors } from "../demo/visitors.ts";
import { fail, runService } from "../main.ts";
import { OperatorError } from "../operator-error.ts";

// `npm run demo` runs the service with users, a past week and visitors that are made up, so that there is something to see.
// Its passwords are no secret: it has a database of its own and listens to nobody else.

const ADMINISTRATOR = { email: "admin@demo.example", password: "live-logout demo" };
const PASSWORD = "visitors' password";

async function runDemo(environment: NodeJS.ProcessEnv): Promise<void> {
  if (environment["NODE_ENV"] === "production") {
    throw new OperatorError(
      "The demo makes up users with known passwords. It does not run where NODE_ENV is production.",
    );
  }
  if (environment["DATABASE_URL"]) {
    throw new OperatorError(
      "The demo makes up users. It keeps to a database of its own: unset DATABASE_URL.",
    );
  }
  if (!/^(127\.\d+\.\d+\.\d+|::1|localhost)?$/.test(environment["HOST"] ?? "")) {
    throw new OperatorError(
      "The demo has known passwords, so it listens on a loopback address only: unset HOST.",
    );
  }
  const node = await runService(undefined, {
    LOG_LEVEL: "warn",
    ...environment,
    DATA_DIR: join(environment["DATA_DIR"] || "./data", "demo"),
    ADMIN_EMAIL: ADMINISTRATOR.email,
    ADMIN_PASSWORD: ADMINISTRATOR.password,
    // The visitors come from this machine and say from where they would come.
    TRUST_PROXY: "loopback",
    ROLES: undefined,
  });
  const { prisma } = node.database;
  const people = makePeople();
  if ((await prisma.user.count()) === 1) {
    await seedPastWeek(
      prisma,
      people,
      await argon2.hash(PASSWORD, { memoryCost: 19_456, timeCost: 2, parallelism: 1 }),
    );
  }
  startVisitors({
    url: node.url,
    people,
    password: PASSWORD,
    administrator: ADMINISTRATOR,
    onError: (error) => void process.stderr.write(`A visitor was disappointed: ${String(error)}\n`),
  });
  process.stdout.write(
    `The demo is running. Sign in at ${node.url} as ${ADMINISTRATOR.email} with the password "${ADMINISTRATOR.password}".\n`,
  );
}

runDemo(process.env).catch(fail);
