import type { IncomingMessage } from "node:http";
import type { Config } from "../config.ts";
import type { PrismaClient } from "../database/generated/client.ts";
import { countHeader } from "../http/request-origin.ts";
import { readSessionCookie } from "../http/session-cookie.ts";
import type { Directory } from "../revocation/directory.ts";
import type { Lease } from "../revocation/lease.ts";
import type { Origin } from "../sessions/login.ts";
import { wasRotatedLately } from "../sessions/reauthenticate.ts";
import { isUnusual, reactToUnusual, type UnusualActivityPolicy } from "../sessions/unusual-activity.ts";
import { hashToken } from "../token.ts";
import type { Credentials } from "./context.ts";

/** A token as a request presents it. It may be anything: a malformed one is as good as none. */
export interface PresentedToken {
  readonly token: string;
  readonly by: "bearer" | "cookie";
}

/** The token in an `Authorization: Bearer ...` header or in the cookie; of both, the header counts. */
export function presentedToken(request: IncomingMessage, config: Config): PresentedToken | undefined {
  const { authorization } = request.headers;
  if (authorization !== undefined) {
    const isClear = countHeader(request, "authorization") === 1;
    return { token: isClear ? bearerToken(authorization) : "", by: "bearer" };
  }
  const token = readSessionCookie(request, config);
  return token === undefined ? undefined : { token, by: "cookie" };
}

/** What follows the scheme; the empty string if this is no bearer authorization (RFC 6750, 2.1). */
export function bearerToken(authorization: string): string {
  return /^Bearer ([^\s]+)$/i.exec(authorization)?.[1] ?? "";
}

export interface CredentialRooms {
  readonly directory: Directory;
  readonly prisma: PrismaClient;
  /** Resolves once this node has applied what was committed so far. */
  readonly catchUp: () => Promise<void>;
  readonly unusualActivity: UnusualActivityPolicy;
}

/** Whom a token speaks for. A lease that is part of the answer is the caller's to release. */
export async function resolveCredentials(
  rooms: CredentialRooms,
  presented: PresentedToken | undefined,
  origin: Origin,
  purpose: "use" | "connect",
): Promise<Credentials> {
  const tokenHash =
    presented && (hashToken("session", presented.token) ?? hashToken("service", presented.token));
  if (tokenHash === undefined) return { kind: "anonymous" };
  const resolution = await rooms.directory.resolve(tokenHash, purpose);
  switch (resolution.kind) {
    case "ended":
      return resolution;
    case "unknown":
      return { kind: (await wasRotatedLately(rooms.prisma, tokenHash)) ? "rotated" : "anonymous" };
    case "live":
      return lookAtOrigin(rooms, resolution.lease, origin);
  }
}

/** What the policy about unusual activity makes of a live session. */
async function lookAtOrigin(rooms: CredentialRooms, lease: Lease, origin: Origin): Promise<Credentials> {
  const { unusualActivity: policy } = rooms;
  const { session } = lease.current;
  if (policy !== "off" && isUnusual(session, origin)) {
    try {
      await reactToUnusual(rooms, session, origin, policy);
    } catch (error) {
      lease.release();
      throw error;
    }
    if (lease.ended) {
      lease.release();
      return { kind: "ended", end: lease.ended };
    }
  }
  return { kind: "live", lease };
}
