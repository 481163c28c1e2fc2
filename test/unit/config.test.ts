import { describe, expect, test } from "vitest";
import { readConfig } from "../../src/config.ts";
import { OperatorError } from "../../src/operator-error.ts";

describe("the settings", () => {
  test("have defaults that run on nothing but a folder", () => {
    expect(readConfig({})).toMatchObject({
      port: 4_000,
      host: "127.0.0.1",
      publicUrl: undefined,
      databaseUrl: undefined,
      dataDir: "./data",
      adminEmail: "admin@localhost",
      adminPassword: undefined,
      passwordCost: { memoryKib: 19_456, passes: 2, lanes: 1 },
      sessionTtlMs: 30 * 86_400_000,
      revocationBoundMs: 10_000,
      cookieSameSite: "Strict",
    });
  });

  test("that are empty count as absent", () => {
    expect(readConfig({ PORT: "", PUBLIC_URL: "", ADMIN_PASSWORD: "" }).port).toBe(4_000);
  });

  test.each([
    ["30s", 30_000],
    ["15m", 900_000],
    ["12h", 43_200_000],
    ["30d", 2_592_000_000],
  ])("read the duration %s", (text, ms) => {
    expect(readConfig({ SESSION_TTL: text }).sessionTtlMs).toBe(ms);
  });

  test("read lists of origins and of proxies", () => {
    const config = readConfig({
      ALLOWED_ORIGINS: "https://app.example.com, http://localhost:3000",
      TRUST_PROXY: "loopback, 10.0.0.0/8",
    });
    expect([...config.allowedOrigins]).toEqual(["https://app.example.com", "http://localhost:3000"]);
    expect(config.trustProxy("10.1.2.3", 0)).toBe(true);
    expect(config.trustProxy("11.1.2.3", 0)).toBe(false);
  });

  test("read roles with what they may do", () => {
    const { addedRoles } = readConfig({
      ROLES: "AUDITOR:read-sessions, CLERK:change-users+end-sessions,MEMBER",
    });
    expect(addedRoles.map(({ name, capabilities }) => [name, capabilities])).toEqual([
      ["AUDITOR", ["readAnySessions"]],
      ["CLERK", ["changeUsers", "endAnySessions"]],
      ["MEMBER", []],
    ]);
  });

  test("read where mail goes and comes from", () => {
    const settings = { SMTP_URL: "smtps://mail.example.com", PUBLIC_URL: "https://login.example.com" };
    for (const from of ["no-reply@example.com", "Example <no-reply@example.com>"]) {
      expect(readConfig({ ...settings, MAIL_FROM: from }).mailFrom).toBe(from);
    }
  });

  test.each([
    ["PORT", "x"],
    ["PORT", "-1"],
    ["PORT", "65536"],
    ["PORT", "4000.5"],
    ["PORT", "0x10"],
    ["PUBLIC_URL", "login.example.com"],
    ["PUBLIC_URL", "https://login.example.com/path"],
    ["PUBLIC_URL", "ftp://login.example.com"],
    ["ALLOWED_ORIGINS", "*"],
    ["ALLOWED_ORIGINS", "https://app.example.com/"],
    ["ALLOWED_ORIGINS", "null"],
    ["TRUST_PROXY", "everybody"],
    ["COOKIE_SAMESITE", "None"],
    ["DATABASE_URL", "mysql://localhost/app"],
    ["DATABASE_URL", "localhost"],
    ["LISTEN_DATABASE_URL", "localhost"],
    ["LISTEN_DATABASE_URL", "postgres://localhost/app"],
    ["SESSION_RETENTION", "1h"],
    ["EVENT_RETENTION", "0d"],
    ["ADDRESS_RETENTION", "90"],
    ["OLD_ADDRESSES", "keep"],
    ["CLEAR_SITE_DATA", "everything"],
    ["ADMIN_EMAIL", "admin"],
    ["ADMIN_PASSWORD", "short"],
    ["ARGON2_MEMORY_KIB", "1024"],
    ["ARGON2_PASSES", "1"],
    ["SESSION_TTL", "5x"],
    ["SESSION_TTL", "0s"],
    ["SESSION_TTL", "401d"],
    ["SESSION_TTL", "99999999999d"],
    ["SESSION_IDLE_TIMEOUT", "1s"],
    ["SESSION_REMEMBERED_TTL", "401d"],
    ["SESSIONS_PER_USER", "0"],
    ["REVOCATION_BOUND_MS", "0"],
    ["REVOCATION_BOUND_MS", "10s"],
    ["LOG_LEVEL", "loud"],
    ["ROLES", "auditor"],
    ["ROLES", "ADMIN:read-sessions"],
    ["ROLES", "AUDITOR:read-everything"],
    ["ROLES", "AUDITOR:"],
    ["ROLES", "AUDITOR:read-sessions:end-sessions"],
    ["ROLES", "AUDITOR,AUDITOR"],
    ["ROLES", "__PROTO__"],
    ["SMTP_URL", "mail.example.com"],
    ["SMTP_URL", "smtp://mail.example.com"],
    ["MAIL_FROM", "Example"],
    ["MAIL_FROM", "Example <no-reply@example.com>\r\nBcc: all@example.com"],
    ["SIGN_UP_DISCLOSES", "no"],
    ["GRAPHIQL", "off"],
    ["INTROSPECTION", "0"],
    ["SOCKETS", "0"],
    ["SOCKETS_PER_ADDRESS", "many"],
    ["SOCKETS_PER_USER", "-1"],
    ["METRICS_PORT", "99999"],
    ["METRICS_TOKEN", "short"],
    ["ACCESS_TOKEN_TTL", "2h"],
    ["LOGIN_FAILURES_PER_ADDRESS", "0"],
    ["SIGN_UPS_PER_ADDRESS", "0"],
    ["REVOKING_NEEDS_RECENT_AUTHENTICATION", "1"],
    ["UNUSUAL_ACTIVITY", "panic"],
  ])("refuse %s=%s with a message that names it", (name, value) => {
    expect(() => readConfig({ [name]: value })).toThrow(OperatorError);
    expect(() => readConfig({ [name]: value })).toThrow(new RegExp(`^Bad settings:\\n  ${name} \\S.*$`));
  });

  test("refuse a PUBLIC_URL without https in production", () => {
    expect(() => readConfig({ NODE_ENV: "production", PUBLIC_URL: "http://login.example.com" })).toThrow(
      /https/,
    );
    expect(readConfig({ PUBLIC_URL: "http://localhost:4000" }).publicUrl?.origin).toBe(
      "http://localhost:4000",
    );
  });

  test("never repeat a value, which may be a secret", () => {
    expect(() => readConfig({ ADMIN_PASSWORD: "hunter2" })).not.toThrow(/hunter2/);
  });
});
