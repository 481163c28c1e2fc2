import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import process from "node:process";
import { betterAuth } from "better-auth";
import { getMigrations } from "better-auth/db/migration";
import { toNodeHandler } from "better-auth/node";
import pg from "pg";
import { offer } from "../kit/offer.ts";

// Better Auth on PostgreSQL as its documentation shows it, without and with its cookie cache.

const options = {
  database: new pg.Pool({ connectionString: process.env["DATABASE_URL"] ?? "", max: 10 }),
  secret: "a secret of thirty two characters at least",
  baseURL: "http://127.0.0.1:3000",
  emailAndPassword: { enabled: true },
  rateLimit: { enabled: false },
  telemetry: { enabled: false },
  session: process.env["COOKIE_CACHE"] ? { cookieCache: { enabled: true, maxAge: 300 } } : {},
} as const;
if (!process.env["COOKIE_CACHE"]) await (await getMigrations(options)).runMigrations();
const auth = betterAuth(options);
const server = createServer(toNodeHandler(auth));
server.listen(0, "127.0.0.1");
await once(server, "listening");

/** A new user's cookies. */
async function signUp(email: string): Promise<string> {
  const { headers } = await auth.api.signUpEmail({
    body: { email, password: "a password of theirs", name: "Bench" },
    returnHeaders: true,
  });
  return headers
    .getSetCookie()
    .map((cookie) => cookie.split(";")[0])
    .join("; ");
}

offer(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, { signUp });
