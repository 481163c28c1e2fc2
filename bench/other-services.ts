import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { cpus } from "node:os";
import process from "node:process";
import pg from "pg";
import {
  CreateEventReceiverDocument,
  IssueAccessTokenDocument,
  LoginDocument,
  SignUpDocument,
} from "../src/client/generated/graphql.ts";
import { createVerifier } from "../src/verifier/verifier.ts";
import { createTestClient, withToken } from "../test/kit/client.ts";
import { createPostgresServer } from "../test/kit/postgres-server.ts";
import { spawnService } from "../test/kit/service-process.ts";

// From the commit of a revocation to its effect elsewhere: the verifier's lease in this process ends, and a receiver in this
// process gets its security event token. `node bench/other-services.ts`. One node, everything on the loopback interface.

const REVOCATIONS = 300;
const ADMIN_PASSWORD = "correct horse battery";

const say = (line: string) => void process.stdout.write(`${line}\n`);
const ms = (value: number) => `${value.toFixed(1)} ms`;

function percentiles(values: readonly number[]): string {
  const sorted = values.toSorted((left, right) => left - right);
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  return `p50 ${ms(at(0.5))}  p99 ${ms(at(0.99))}  max ${ms(at(1))}`;
}

const postgres = await createPostgresServer(["-c", "max_connections=50"]);
await postgres.start();
await postgres.query("postgres", "CREATE DATABASE bench");
const databaseUrl = `${postgres.url}/bench`;
const service = spawnService({
  DATABASE_URL: databaseUrl,
  LOG_LEVEL: "error",
  ADMIN_PASSWORD,
  SIGN_UPS_PER_ADDRESS: "100000",
});
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
try {
  const url = await service.ready();
  receiver.listen(0, "127.0.0.1");
  await once(receiver, "listening");
  const input = { email: "admin@localhost", password: ADMIN_PASSWORD, returnToken: true };
  const { data } = await createTestClient(url).run(LoginDocument, { input });
  const token = data?.login.__typename === "LoginSuccess" ? (data.login.token ?? "") : "";
  const admin = withToken(url, token);
  const receiverUrl = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/`;
  await admin.run(CreateEventReceiverDocument, { input: { audience: "bench", url: receiverUrl } });
  const expiresAt = new Date(Date.now() + 3_600_000).toISOString();
  const created = (await admin.run(
    `mutation { createServiceAccount(input: { name: "Bench", scopes: [EVENTS_READ], expiresAt: "${expiresAt}" }) { ... on CreateServiceAccountSuccess { token } } }`,
  )) as { data: { createServiceAccount: { token: string } } };
  const verifier = createVerifier({
    url: `${url}/graphql`,
    serviceToken: created.data.createServiceAccount.token,
  });
  await verifier.ready();
  const sql = new pg.Client({ connectionString: databaseUrl });
  await sql.connect();

  const leases: number[] = [];
  const pushes: number[] = [];
  const checks: number[] = [];
  for (let count = 0; count < REVOCATIONS; count++) {
    const signUp = {
      email: `u${count}@example.com`,
      name: "Bench",
      password: "a password",
      passwordConfirmation: "a password",
      returnToken: true,
    };
    const { data } = await createTestClient(url).run(SignUpDocument, { input: signUp });
    if (data?.signUp.__typename !== "LoginSuccess") throw new Error("no sign-up");
    const { session, token } = data.signUp;
    const issued = await withToken(url, token ?? "").run(IssueAccessTokenDocument);
    const accessToken = issued.data?.issueAccessToken.token ?? "";
    const lease = await verifier.hold(accessToken);
    const checkedAt = performance.now();
    await verifier.verify(accessToken);
    checks.push(performance.now() - checkedAt);
    const ended = once(lease.signal, "abort").then(() => performance.now());
    const pushed = new Promise<number>((resolve) => received.set(session.id, resolve));
    await sql.query("UPDATE sessions SET revoked_at = now() WHERE id = $1", [session.id]);
    const committedAt = performance.now();
    leases.push(Math.max(0, (await ended) - committedAt));
    pushes.push(Math.max(0, (await pushed) - committedAt));
  }
  say(
    `${cpus().length} × ${cpus()[0]?.model}, Node ${process.version}; ${REVOCATIONS} revocations, one after another`,
  );
  say(`from the commit to the end of a verifier's lease   ${percentiles(leases)}`);
  say(`from the commit to a receiver's token              ${percentiles(pushes)}`);
  say(`checking an access token                           ${percentiles(checks)}`);
  verifier.close();
  await sql.end();
} finally {
  service.child.kill("SIGKILL");
  await service.exited;
  receiver.close();
  receiver.closeAllConnections();
  await postgres.remove();
}
