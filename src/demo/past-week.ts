import { randomBytes, randomInt } from "node:crypto";
import { v7 as uuid } from "uuid";
import type { PrismaClient } from "../database/generated/client.ts";
import type { RevocationReason } from "../revocation/reasons.ts";
import { type Person, pick } from "./people.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const WEEK_MS = 7 * DAY_MS;
const SESSION_MS = 30 * DAY_MS;
/** How many sessions begin on each of the days, about. */
const SESSIONS_PER_DAY = 260;

/** How sessions end, as often as they stand here. */
const ENDS: readonly RevocationReason[] = [
  ...Array<RevocationReason>(12).fill("LOGOUT"),
  ...Array<RevocationReason>(4).fill("REVOKED_BY_USER"),
  ...Array<RevocationReason>(4).fill("IDLE_TIMEOUT"),
  ...Array<RevocationReason>(2).fill("PASSWORD_CHANGED"),
  ...([
    "REVOKED_BY_ADMIN",
    "ROLE_CHANGED",
    "PASSWORD_RESET",
    "SESSION_LIMIT",
    "REPORTED",
    "EXPIRED",
  ] as const),
];

/**
 * Makes up users with the sessions of a week. The triggers would date everything now, so the one that writes the log is off
 * meanwhile and the events are written as they would have been.
 */
export async function seedPastWeek(
  prisma: PrismaClient,
  people: readonly Person[],
  passwordHash: string,
): Promise<void> {
  const now = Date.now();
  const users = people.map(({ email, name, role }) => {
    const createdAt = new Date(now - WEEK_MS - randomInt(300) * DAY_MS);
    return { id: uuid({ msecs: createdAt.getTime() }), email, name, role, passwordHash, createdAt };
  });
  const supporters = users.filter(({ role }) => role === "SUPPORT");

  const sessions = Array.from({ length: 7 * SESSIONS_PER_DAY }, () => {
    const index = randomInt(people.length);
    const [user, person] = [users[index], people[index]];
    if (!user || !person) throw new Error("there is nobody");
    const beganAt = momentOfPastWeek(now);
    const lastsMs = randomInt(10) < 7 ? randomInt(1, 5 * 60) * 60_000 : randomInt(5, 72) * HOUR_MS;
    const endsAt = beganAt + lastsMs;
    const hasEnded = endsAt < now - 60_000;
    const reason = hasEnded ? pick(ENDS) : null;
    return {
      id: uuid({ msecs: beganAt }),
      user_id: user.id,
      token_hash: randomBytes(32).toString("hex"),
      created_at: new Date(beganAt).toISOString(),
      authenticated_at: new Date(beganAt).toISOString(),
      last_seen_at: new Date(hasEnded ? endsAt : now - randomInt(HOUR_MS)).toISOString(),
      expires_at: new Date(beganAt + SESSION_MS).toISOString(),
      ip_address: pick(person.places).ipAddress,
      user_agent: pick(person.places).userAgent,
      revoked_at: hasEnded ? new Date(endsAt).toISOString() : null,
      revocation_reason: reason,
      actor_id: actorOf(reason, user.id, pick(supporters).id),
    };
  });

  const json = JSON.stringify(sessions);
  await prisma.$transaction([
    prisma.user.createMany({ data: users }),
    prisma.$executeRaw`ALTER TABLE sessions DISABLE TRIGGER sessions_insert_to_log`,
    prisma.$executeRaw`
      INSERT INTO sessions (id, user_id, token_hash, credential_version, created_at, authenticated_at, last_seen_at,
                            expires_at, ip_address, user_agent, revoked_at, revocation_reason)
      SELECT id, user_id, token_hash, 1, created_at, authenticated_at, last_seen_at,
             expires_at, ip_address, user_agent, revoked_at, revocation_reason
        FROM jsonb_populate_recordset(NULL::sessions, ${json}::jsonb)`,
    prisma.$executeRaw`ALTER TABLE sessions ENABLE TRIGGER sessions_insert_to_log`,
    prisma.$executeRaw`
      INSERT INTO session_event (type, session_id, user_id, actor_id, reason, ip_address, at)
      SELECT * FROM (
        SELECT 'SESSION_CREATED', id, user_id, user_id, NULL, ip_address, created_at AS at
          FROM jsonb_to_recordset(${json}::jsonb) AS made(id uuid, user_id uuid, ip_address text, created_at timestamptz)
        UNION ALL
        SELECT 'SESSION_REVOKED', id, user_id, actor_id, revocation_reason, NULL, revoked_at AS at
          FROM jsonb_to_recordset(${json}::jsonb) AS ended(
            id uuid, user_id uuid, actor_id uuid, revocation_reason text, revoked_at timestamptz)
         WHERE revoked_at IS NOT NULL
      ) AS events ORDER BY at`,
  ]);
}

/** More by day than by night. */
function momentOfPastWeek(now: number): number {
  for (;;) {
    const at = now - randomInt(WEEK_MS / 1_000) * 1_000;
    const hour = new Date(at).getHours();
    const busyness = 1 - Math.abs(13.5 - hour) / 14;
    if (Math.random() < busyness ** 2) return at;
  }
}

function actorOf(reason: RevocationReason | null, ownId: string, supporterId: string): string | null {
  switch (reason) {
    case "REVOKED_BY_ADMIN":
    case "ROLE_CHANGED":
      return supporterId;
    case "IDLE_TIMEOUT":
    case "EXPIRED":
      return null;
    default:
      return ownId;
  }
}
