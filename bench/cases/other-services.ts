import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import {
  CreateEventReceiverDocument,
  IssueAccessTokenDocument,
  LoginDocument,
  SignUpDocument,
} from "../../src/client/generated/graphql.ts";
import { createVerifier } from "../../src/verifier/verifier.ts";
import { createTestClient, withToken } from "../../test/kit/client.ts";
import { within } from "../../test/kit/deadline.ts";
import { createBenchDatabase } from "../kit/database.ts";
import { NODE_SETTINGS } from "../kit/node-settings.ts";
import { type Case, percentile } from "../kit/report.ts";
import { startAll } from "../kit/server-process.ts";

const REVOCATIONS = 200;

/** The verifier and the receiver are in the bench's own process. */
export const otherServices: Case = {
  name: "other-services",
  title: `${REVOCATIONS} revocations, from the commit to the end of a verifier's lease, and to a receiver's security event token`,
  async run() {
    const database = await createBenchDatabase();
    const { start, stop } = startAll();
    const received = new Map<string, (at: number) => void>();
    const receiver = createServer(async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const at = performance.now();
      const [, payload = ""] = Buffer.concat(chunks).toString().split(".");
      const { sub_id } = JSON.parse(Buffer.from(payload, "base64url").toString()) as {
        sub_id: { session: { id: string } };
      };
      received.get(sub_id.session.id)?.(at);
      response.writeHead(202).end();
    });
    receiver.listen(0, "127.0.0.1");
    await once(receiver, "listening");
    try {
      const settings = {
        ...NODE_SETTINGS,
        // In production a receiver would need https.
        NODE_ENV: "development",
        DATABASE_URL: database.url,
        SIGN_UPS_PER_ADDRESS: "100000",
      };
      const { ready: url } = await start("node.ts", { settings });
      const serviceToken = await register(
        url,
        `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/`,
      );
      const verifier = createVerifier({ url: `${url}/graphql`, serviceToken });
      await verifier.ready();
      const [leases, pushes, checks]: [number[], number[], number[]] = [[], [], []];
      for (let count = 0; count < REVOCATIONS; count++) {
        const { sessionId, accessToken } = await signUp(url, count);
        const lease = await verifier.hold(accessToken);
        const checkedAt = performance.now();
        await verifier.verify(accessToken);
        checks.push(performance.now() - checkedAt);
        const ended = once(lease.signal, "abort").then(() => performance.now());
        const pushed = new Promise<number>((resolve) => received.set(sessionId, resolve));
        await database.sql.query("UPDATE sessions SET revoked_at = now() WHERE id = $1", [sessionId]);
        const committedAt = performance.now();
        leases.push(Math.max(0, (await within(10_000, "the lease's end", ended)) - committedAt));
        pushes.push(Math.max(0, (await within(10_000, "the receiver's token", pushed)) - committedAt));
      }
      verifier.close();
      const row = (name: string, values: readonly number[]) => [
        name,
        percentile(values, 0.5),
        percentile(values, 0.99),
      ];
      return {
        table: [
          ["", "p50 ms", "p99 ms"],
          row("a verifier's lease ends", leases),
          row("a receiver gets its token", pushes),
          row("checking an access token", checks),
        ],
        goals: [],
      };
    } finally {
      receiver.close();
      receiver.closeAllConnections();
      await stop();
      await database.remove();
    }
  },
};

/** Registers the receiver; gives back the token of a service account that may read events. */
async function register(url: string, receiverUrl: string): Promise<string> {
  const input = { email: "admin@localhost", password: NODE_SETTINGS.ADMIN_PASSWORD, returnToken: true };
  const { data } = await createTestClient(url).run(LoginDocument, { input });
  const token = data?.login.__typename === "LoginSuccess" ? (data.login.token ?? "") : "";
  const admin = withToken(url, token);
  const receiver = await admin.run(CreateEventReceiverDocument, {
    input: { audience: "bench", url: receiverUrl },
  });
  if (receiver.data?.createEventReceiver.__typename !== "CreateEventReceiverSuccess") {
    throw new Error(`the receiver was not registered: ${JSON.stringify(receiver)}`);
  }
  const expiresAt = new Date(Date.now() + 3_600_000).toISOString();
  const created = (await admin.run(
    `mutation { createServiceAccount(input: { name: "Bench", scopes: [EVENTS_READ], expiresAt: "${expiresAt}" }) { ... on CreateServiceAccountSuccess { token } } }`,
  )) as { data: { createServiceAccount: { token: string } } };
  return created.data.createServiceAccount.token;
}

async function signUp(url: string, number: number): Promise<{ sessionId: string; accessToken: string }> {
  const password = "a password of theirs";
  const input = {
    email: `u${number}@example.com`,
    name: "Bench",
    password,
    passwordConfirmation: password,
    returnToken: true,
  };
  const { data } = await createTestClient(url).run(SignUpDocument, { input });
  if (data?.signUp.__typename !== "LoginSuccess") throw new Error("no sign-up");
  const { session, token } = data.signUp;
  const issued = await withToken(url, token ?? "").run(IssueAccessTokenDocument);
  return { sessionId: session.id, accessToken: issued.data?.issueAccessToken.token ?? "" };
}
