import type { Session } from "../database/generated/client.ts";
import type { Context } from "./context.ts";
import { badRequest } from "./errors.ts";
import { ValidationError } from "./results.ts";

type Wish = boolean | null | undefined;

export const RETURN_TOKEN =
  "Whether the answer holds the token, and no cookie is set. For clients that are not browsers; refused to those.";

/** A browser's token goes into the cookie only, out of scripts' reach (OWASP ASVS 5.0, 3.3.4). */
export function refuseToReturnToken(returnToken: Wish, context: Context): ValidationError | undefined {
  if (!returnToken || !context.isBrowser) return undefined;
  const message = "A browser gets its session as a cookie: leave returnToken out.";
  return new ValidationError({ issues: [{ path: "input.returnToken", message }] });
}

/** Why a new session's token could not reach the client, if so. */
export function refuseDelivery(returnToken: Wish, context: Context): ValidationError | undefined {
  if (returnToken || context.cookies) return refuseToReturnToken(returnToken, context);
  const message = "A WebSocket cannot set a cookie: log in over HTTP, or ask with returnToken: true.";
  return new ValidationError({ issues: [{ path: "input.returnToken", message }] });
}

/** A session that came by cookie could not be given its new token over a WebSocket. Throws `BAD_REQUEST`. */
export function requireWayForCookie({ presentedBy, cookies }: Context): void {
  if (presentedBy !== "cookie" || cookies) return;
  const message = "This gives the session a new cookie, which a WebSocket cannot set: send it over HTTP.";
  throw badRequest([{ path: "transport", message }]);
}

/** Gives the browser the cookie of a session: until that ends if it is remembered, else until the browser is closed. */
export function setSessionCookie(
  { cookies, now }: Context,
  session: Pick<Session, "expiresAt" | "remembered">,
  token: string,
): void {
  const maxAgeSeconds = (session.expiresAt.getTime() - now()) / 1_000;
  cookies?.set(token, session.remembered ? maxAgeSeconds : undefined);
}

export function clearOwnCookie({ presentedBy, cookies }: Context): void {
  if (presentedBy === "cookie") cookies?.clear();
}
