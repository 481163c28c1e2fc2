import { createRemoteJWKSet, decodeProtectedHeader, jwtVerify } from "jose";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { IssueAccessTokenDocument } from "../../src/client/generated/graphql.ts";
import { createSigner } from "../../src/sessions/signing-keys.ts";
import { createTestClient, signUp, withCookie } from "../kit/client.ts";
import { createTestDatabase, DATABASES } from "../kit/databases.ts";
import { startTestNode, type TestNode } from "../kit/node.ts";
import { createService } from "../kit/services.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

describe.each(DATABASES)("access tokens on the %s database", (kind) => {
  let node: TestNode;
  beforeAll(async () => {
    node = await startTestNode(kind, { settings: { ACCESS_TOKEN_TTL: "10m" } });
  });
  afterAll(() => node.stop());

  test("say whose they are and are checked by the published keys", async () => {
    const user = await signUp(node.url);
    const { data } = await user.run(IssueAccessTokenDocument);
    const { token = "", expiresAt = "" } = data?.issueAccessToken ?? {};
    const keys = createRemoteJWKSet(new URL("/.well-known/jwks.json", node.url));
    const { payload } = await jwtVerify(token, keys, { issuer: node.url, audience: node.url, typ: "at+jwt" });
    expect(payload).toMatchObject({ sub: user.userId, sid: user.sessionId, role: "USER" });
    const [row] = await node.sql(
      "SELECT floor(extract(epoch FROM authenticated_at))::int AS seconds FROM sessions WHERE id = $1",
      [user.sessionId],
    );
    expect(payload["auth_time"]).toBe(row?.["seconds"]);
    expect(payload.jti).toMatch(/^[0-9a-f-]{36}$/);
    expect((payload.exp ?? 0) - (payload.iat ?? 0)).toBe(600);
    expect(new Date(expiresAt).getTime()).toBeGreaterThan(Date.now() + 590_000);
    expect(decodeProtectedHeader(token).alg).toBe("ES256");
  });

  test("have the audience that the setting names, and do not outlive their session", async () => {
    const other = await startTestNode(kind, {
      settings: {
        ACCESS_TOKEN_AUDIENCE: "shop",
        SESSION_TTL: "60s",
        PUBLIC_URL: "https://login.example.com",
      },
    });
    onTestFinished(() => other.stop());
    const user = await signUp(other.url);
    const { data } = await user.run(IssueAccessTokenDocument);
    const keys = createRemoteJWKSet(new URL("/.well-known/jwks.json", other.url));
    const { payload } = await jwtVerify(data?.issueAccessToken.token ?? "", keys, {
      issuer: "https://login.example.com",
      audience: "shop",
    });
    expect((payload.exp ?? 0) - (payload.iat ?? 0)).toBeLessThanOrEqual(60);
  });

  test("are for people who are logged in, and no credentials of this service", async () => {
    const anonymous = await createTestClient(node.url).run(IssueAccessTokenDocument);
    expect(anonymous.errors[0]?.extensions).toMatchObject({ code: "UNAUTHENTICATED" });
    const service = await createService(node.url, ["EVENTS_READ"]);
    expect((await service.run(IssueAccessTokenDocument)).errors[0]?.extensions).toMatchObject({
      code: "FORBIDDEN",
    });
    const user = await signUp(node.url);
    const { data } = await user.run(IssueAccessTokenDocument);
    const { viewer } = (
      await withCookie(node.url, data?.issueAccessToken.token ?? "").run("{ viewer { id } }")
    ).data as { viewer: unknown };
    expect(viewer).toBeNull();
  });

  test("the published keys hold no private half, and may be kept for five minutes", async () => {
    const response = await fetch(`${node.url}/.well-known/jwks.json`);
    expect(response.headers.get("cache-control")).toBe("public, max-age=300");
    const { keys } = (await response.json()) as { keys: Record<string, unknown>[] };
    expect(keys).toHaveLength(1);
    expect(keys[0]).not.toHaveProperty("d");
    expect(keys[0]).toMatchObject({ kty: "EC", crv: "P-256", alg: "ES256", use: "sig" });
  });

  test("are signed by a new key each month, which is published an hour before it signs", async () => {
    const database = await createTestDatabase(kind);
    onTestFinished(() => database.remove());
    const other = await startTestNode(kind, { on: database });
    onTestFinished(() => other.stop());
    let now = Date.now();
    const signer = createSigner({ database: other.database, now: () => now, issuer: () => "test" });
    const kidNow = async () => decodeProtectedHeader(await signer.sign({}, { type: "JWT" })).kid;
    const published = async () => (await signer.keySet()).keys.map(({ kid }) => kid);
    const first = await kidNow();
    await signer.rotate();
    expect(await published()).toEqual([first]);

    now += 30 * DAY_MS - HOUR_MS / 2;
    await signer.rotate();
    const [second] = await published();
    expect(await published()).toEqual([second, first]);
    expect(second).not.toBe(first);
    // The database dates a key by its own clock.
    await other.sql("UPDATE signing_keys SET created_at = $1 WHERE id = $2", [new Date(now), second]);
    await signer.rotate();
    expect(await kidNow()).toBe(first);
    now += HOUR_MS;
    expect(await kidNow()).toBe(second);
    now += 2 * DAY_MS;
    await signer.rotate();
    expect(await published()).toEqual([second]);
  });
});
