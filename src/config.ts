import { compile } from "proxy-addr";
import { z } from "zod";
import { OperatorError } from "./operator-error.ts";
import type { UnusualActivityPolicy } from "./sessions/unusual-activity.ts";
import type { PasswordCost } from "./users/password.ts";
import { type AddedRole, rolesSchema } from "./users/roles.ts";
import { emailSchema, passwordSchema } from "./users/validation.ts";

const UNITS_MS = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
/** RFC 6265bis lets no cookie live longer than 400 days, so no session needs to. */
const LONGEST_SESSION = "400d";

/** The settings of a node, checked. Durations are in milliseconds. */
export interface Config {
  readonly port: number;
  readonly host: string;
  /** The origin that people reach the service by, as in `https://login.example.com`; undefined: the Host header. */
  readonly publicUrl: URL | undefined;
  readonly allowedOrigins: ReadonlySet<string>;
  /** Whether an address belongs to a proxy of ours, whose X-Forwarded-* headers are believed. */
  readonly trustProxy: (address: string, hop: number) => boolean;
  readonly cookieSameSite: "Strict" | "Lax";
  /** Undefined: PGlite in `dataDir`. */
  readonly databaseUrl: string | undefined;
  /** Past a pooler, for the connection that hears notifications; undefined: `databaseUrl`. */
  readonly listenDatabaseUrl: string | undefined;
  readonly dataDir: string;
  readonly adminEmail: string;
  readonly adminPassword: string | undefined;
  readonly passwordCost: PasswordCost;
  /** Beyond USER, SUPPORT and ADMIN. */
  readonly addedRoles: readonly AddedRole[];
  /** Where mails are handed over; undefined: they are written to files in `dataDir`. */
  readonly smtpUrl: string | undefined;
  readonly mailFrom: string | undefined;
  /** Whether a browser that opens /graphql gets GraphiQL. */
  readonly hasGraphiQL: boolean;
  /** How many WebSockets a node serves: together, of one client address, of one user. */
  readonly sockets: number;
  readonly socketsPerAddress: number;
  readonly socketsPerUser: number;
  /** Where metrics are served without a token; undefined: nowhere. */
  readonly metricsPort: number | undefined;
  readonly metricsHost: string;
  /** What a scrape at /metrics has to present; undefined: there are none there. */
  readonly metricsToken: string | undefined;
  /** What else browsers forget of the origin together with the cookie, as a Clear-Site-Data header; undefined: nothing. */
  readonly clearSiteData: string | undefined;
  /** Whether the schema may be asked for. If not, errors suggest no names either. */
  readonly hasIntrospection: boolean;
  /** A file with the documents that are run; undefined: any that is within the limits. */
  readonly trustedDocuments: string | undefined;
  /** Whether a sign-up says that an email is taken. If not, a mail does, and confirms those that are not. */
  readonly signUpDiscloses: boolean;
  /** Failed logins of one client address a day. */
  readonly loginFailuresPerAddress: number;
  /** Sign-ups of one client address an hour. */
  readonly signUpsPerAddress: number;
  /** Whether ending other sessions of one's own needs a recent proof of the password. */
  readonly revokingNeedsRecentAuthentication: boolean;
  readonly unusualActivity: UnusualActivityPolicy;
  /** NODE_ENV is production. */
  readonly isProduction: boolean;
  readonly sessionTtlMs: number;
  /** Of sessions that are begun with "remember me". */
  readonly rememberedTtlMs: number;
  /** Of tokens for other services. */
  readonly accessTokenTtlMs: number;
  /** Whom those are for; undefined: this service. */
  readonly accessTokenAudience: string | undefined;
  readonly sessionsPerUser: number;
  /** Infinite: no idle timeout. */
  readonly idleTimeoutMs: number;
  /** How long an ended session is kept, so that a returning client is told why it ended. */
  readonly sessionRetentionMs: number;
  /** How long the log is kept. */
  readonly eventRetentionMs: number;
  /** How long the addresses in both are kept. */
  readonly addressRetentionMs: number;
  /** What becomes of an address then. */
  readonly oldAddresses: "drop" | "shorten";
  readonly revocationBoundMs: number;
  /** How long a node that stops takes at most to let requests finish and clients go. */
  readonly drainMs: number;
  readonly logLevel: "fatal" | "error" | "warn" | "info" | "debug" | "trace" | "silent";
}

function wholeNumber(least: number, most: number) {
  return z
    .string()
    .regex(/^\d{1,10}$/, `must be a whole number from ${least} to ${most}`)
    .transform(Number)
    .refine((value) => value >= least && value <= most, `must be a whole number from ${least} to ${most}`);
}

function duration(least: string, most: string) {
  const hint = `must be a duration like 30s, 15m, 12h or 30d, from ${least} to ${most}`;
  return z
    .string()
    .regex(/^\d{1,9}[smhd]$/, hint)
    .transform(toMs)
    .refine((ms) => ms >= toMs(least) && ms <= toMs(most), hint);
}

function toMs(duration: string): number {
  return Number(duration.slice(0, -1)) * UNITS_MS[duration.slice(-1) as keyof typeof UNITS_MS];
}

const originSchema = z.string().refine(isOrigin, {
  error:
    "must be origins like https://app.example.com, separated by commas ('*' would let any page act for its visitors)",
});

function isOrigin(text: string): boolean {
  const url = URL.parse(text);
  return url !== null && /^https?:$/.test(url.protocol) && url.origin === text;
}

function yesOrNo(byDefault: "true" | "false") {
  return z
    .enum(["true", "false"], "must be true or false")
    .default(byDefault)
    .transform((text) => text === "true");
}

const databaseUrl = z
  .string()
  .refine(
    (text) => /^postgres(ql)?:$/.test(URL.parse(text)?.protocol ?? ""),
    "must be a URL like postgresql://user:password@host:5432/database",
  );

const settingsSchema = z
  .object({
    PORT: wholeNumber(0, 65_535).default(4_000),
    HOST: z
      .string()
      .min(1, "must be an address to listen on, like 127.0.0.1 or 0.0.0.0")
      .default("127.0.0.1"),
    PUBLIC_URL: z
      .string()
      .refine((text) => isOrigin(text.replace(/\/$/, "")), "must be an origin like https://login.example.com")
      .transform((text) => new URL(text))
      .optional(),
    ALLOWED_ORIGINS: z
      .string()
      .transform((text) => text.split(",").map((origin) => origin.trim()))
      .pipe(z.array(originSchema))
      .transform((origins) => new Set(origins))
      .default(new Set<string>()),
    TRUST_PROXY: z
      .string()
      .transform((text, context) => {
        try {
          return compile(text.split(",").map((address) => address.trim()));
        } catch {
          context.addIssue("must be addresses or networks of your proxies, like loopback or 10.0.0.0/8");
          return z.NEVER;
        }
      })
      .optional(),
    COOKIE_SAMESITE: z.enum(["Strict", "Lax"], "must be Strict or Lax").default("Strict"),
    DATABASE_URL: databaseUrl.optional(),
    LISTEN_DATABASE_URL: databaseUrl.optional(),
    DATA_DIR: z.string().min(1, "must be a folder").default("./data"),
    ADMIN_EMAIL: emailSchema.default("admin@localhost"),
    ADMIN_PASSWORD: passwordSchema.optional(),
    ARGON2_MEMORY_KIB: wholeNumber(19_456, 1_048_576).default(19_456),
    ARGON2_PASSES: wholeNumber(2, 100).default(2),
    ARGON2_LANES: wholeNumber(1, 16).default(1),
    ROLES: rolesSchema.default([]),
    SMTP_URL: z
      .string()
      .refine(
        (text) => /^smtps?:$/.test(URL.parse(text)?.protocol ?? ""),
        "must be a URL like smtps://user:password@mail.example.com:465",
      )
      .optional(),
    MAIL_FROM: z
      .string()
      .regex(/^[^\p{Cc}]*$/u, "cannot have control characters")
      .refine((text) => emailSchema.safeParse(/<([^<>]*)>$/.exec(text)?.[1] ?? text).success, {
        error: "must be an address like no-reply@example.com or Example <no-reply@example.com>",
      })
      .optional(),
    GRAPHIQL: yesOrNo("true"),
    SOCKETS: wholeNumber(1, 1_000_000).default(20_000),
    SOCKETS_PER_ADDRESS: wholeNumber(1, 1_000_000).default(1_000),
    SOCKETS_PER_USER: wholeNumber(1, 1_000_000).default(200),
    METRICS_PORT: wholeNumber(0, 65_535).optional(),
    METRICS_HOST: z.string().min(1, "must be an address to listen on, like 127.0.0.1").default("127.0.0.1"),
    METRICS_TOKEN: z
      .string()
      .regex(/^[\w.~+/-]{16,200}$/, "must have at least 16 characters, of those that a bearer token can have")
      .optional(),
    CLEAR_SITE_DATA: z
      .string()
      .transform((text) => text.split(",").map((kind) => kind.trim()))
      .pipe(z.array(z.enum(["cache", "cookies", "storage"], "must be some of cache, cookies, storage")))
      .transform((kinds) => kinds.map((kind) => `"${kind}"`).join(", "))
      .optional(),
    INTROSPECTION: yesOrNo("true"),
    TRUSTED_DOCUMENTS: z.string().min(1).optional(),
    SIGN_UP_DISCLOSES: yesOrNo("true"),
    LOGIN_FAILURES_PER_ADDRESS: wholeNumber(10, 1_000_000).default(100),
    SIGN_UPS_PER_ADDRESS: wholeNumber(1, 1_000_000).default(100),
    REVOKING_NEEDS_RECENT_AUTHENTICATION: yesOrNo("true"),
    UNUSUAL_ACTIVITY: z.enum(["off", "notify", "revoke"], "must be off, notify or revoke").default("off"),
    SESSION_TTL: duration("10s", LONGEST_SESSION).default(toMs("30d")),
    SESSION_REMEMBERED_TTL: duration("10s", LONGEST_SESSION).default(toMs("90d")),
    ACCESS_TOKEN_TTL: duration("10s", "1h").default(toMs("5m")),
    ACCESS_TOKEN_AUDIENCE: z.string().min(1).max(200).optional(),
    SESSIONS_PER_USER: wholeNumber(1, 10_000).default(100),
    SESSION_IDLE_TIMEOUT: duration("10s", LONGEST_SESSION).default(toMs("14d")),
    SESSION_RETENTION: duration("1d", "3650d").default(toMs("90d")),
    EVENT_RETENTION: duration("1d", "3650d").default(toMs("365d")),
    ADDRESS_RETENTION: duration("1h", "3650d").default(toMs("90d")),
    OLD_ADDRESSES: z.enum(["drop", "shorten"], "must be drop or shorten").default("drop"),
    REVOCATION_BOUND_MS: wholeNumber(2_000, 600_000).default(10_000),
    DRAIN_MS: wholeNumber(0, 600_000).default(5_000),
    LOG_LEVEL: z
      .enum(["fatal", "error", "warn", "info", "debug", "trace", "silent"], {
        error: "must be fatal, error, warn, info, debug, trace or silent",
      })
      .default("info"),
    NODE_ENV: z.string().optional(),
  })
  .refine((settings) => settings.NODE_ENV !== "production" || settings.PUBLIC_URL?.protocol !== "http:", {
    path: ["PUBLIC_URL"],
    error: "must begin with https:// in production: over http anybody on the way can take the sessions",
  })
  .refine((settings) => !settings.SMTP_URL || (settings.PUBLIC_URL && settings.MAIL_FROM), {
    path: ["SMTP_URL"],
    error: "needs PUBLIC_URL, which the links in mails lead to, and MAIL_FROM, which they come from",
  })
  .refine((settings) => !settings.LISTEN_DATABASE_URL || settings.DATABASE_URL, {
    path: ["LISTEN_DATABASE_URL"],
    error: "is another way to the database of DATABASE_URL, which is not set",
  });

/**
 * Reads the settings from the environment. An empty variable counts as absent. Throws {@link OperatorError}
 * that names every bad setting; the values are not repeated, they may be secrets.
 */
export function readConfig(environment: Readonly<Record<string, string | undefined>>): Config {
  const given = Object.fromEntries(Object.entries(environment).filter(([, value]) => value));
  const result = settingsSchema.safeParse(given);
  if (!result.success) {
    // The first problem of each: once it is mended the next one shows, if it is still there.
    const problems: Record<string, string> = {};
    for (const { path, message } of result.error.issues) problems[String(path[0])] ??= message;
    const lines = Object.entries(problems).map(([name, message]) => `  ${name} ${message}`);
    throw new OperatorError(`Bad settings:\n${lines.join("\n")}`);
  }
  const settings = result.data;
  return {
    port: settings.PORT,
    host: settings.HOST,
    publicUrl: settings.PUBLIC_URL,
    allowedOrigins: settings.ALLOWED_ORIGINS,
    trustProxy: settings.TRUST_PROXY ?? (() => false),
    cookieSameSite: settings.COOKIE_SAMESITE,
    databaseUrl: settings.DATABASE_URL,
    listenDatabaseUrl: settings.LISTEN_DATABASE_URL,
    dataDir: settings.DATA_DIR,
    adminEmail: settings.ADMIN_EMAIL,
    adminPassword: settings.ADMIN_PASSWORD,
    passwordCost: {
      memoryKib: settings.ARGON2_MEMORY_KIB,
      passes: settings.ARGON2_PASSES,
      lanes: settings.ARGON2_LANES,
    },
    addedRoles: settings.ROLES,
    smtpUrl: settings.SMTP_URL,
    mailFrom: settings.MAIL_FROM,
    hasGraphiQL: settings.GRAPHIQL,
    sockets: settings.SOCKETS,
    socketsPerAddress: settings.SOCKETS_PER_ADDRESS,
    socketsPerUser: settings.SOCKETS_PER_USER,
    metricsPort: settings.METRICS_PORT,
    metricsHost: settings.METRICS_HOST,
    metricsToken: settings.METRICS_TOKEN,
    clearSiteData: settings.CLEAR_SITE_DATA,
    hasIntrospection: settings.INTROSPECTION,
    trustedDocuments: settings.TRUSTED_DOCUMENTS,
    signUpDiscloses: settings.SIGN_UP_DISCLOSES,
    loginFailuresPerAddress: settings.LOGIN_FAILURES_PER_ADDRESS,
    signUpsPerAddress: settings.SIGN_UPS_PER_ADDRESS,
    revokingNeedsRecentAuthentication: settings.REVOKING_NEEDS_RECENT_AUTHENTICATION,
    unusualActivity: settings.UNUSUAL_ACTIVITY,
    isProduction: settings.NODE_ENV === "production",
    sessionTtlMs: settings.SESSION_TTL,
    rememberedTtlMs: Math.max(settings.SESSION_TTL, settings.SESSION_REMEMBERED_TTL),
    accessTokenTtlMs: settings.ACCESS_TOKEN_TTL,
    accessTokenAudience: settings.ACCESS_TOKEN_AUDIENCE,
    sessionsPerUser: settings.SESSIONS_PER_USER,
    idleTimeoutMs: settings.SESSION_IDLE_TIMEOUT,
    sessionRetentionMs: settings.SESSION_RETENTION,
    eventRetentionMs: settings.EVENT_RETENTION,
    addressRetentionMs: settings.ADDRESS_RETENTION,
    oldAddresses: settings.OLD_ADDRESSES,
    revocationBoundMs: settings.REVOCATION_BOUND_MS,
    drainMs: settings.DRAIN_MS,
    logLevel: settings.LOG_LEVEL,
  };
}
