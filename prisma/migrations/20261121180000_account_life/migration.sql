-- The life of an account: recent authentication, rotated tokens, password resets, mail, throttling.

-- Sessions -------------------------------------------------------------------------------------------------

-- now() is the same for all rows, so that they need not be written anew; new rows have a time of their own.
ALTER TABLE "sessions"
  ADD COLUMN "remembered" BOOLEAN NOT NULL DEFAULT false,
  ADD COLUMN "authenticated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT now(),
  ADD COLUMN "previous_token_hash" TEXT,
  ADD COLUMN "token_rotated_at" TIMESTAMPTZ(3),
  ADD COLUMN "report_token_hash" TEXT;
UPDATE "sessions" SET "authenticated_at" = "created_at";
ALTER TABLE "sessions" ALTER COLUMN "authenticated_at" SET DEFAULT clock_timestamp();
CREATE INDEX "sessions_previous_token_hash_idx" ON "sessions" ("previous_token_hash");
CREATE UNIQUE INDEX "sessions_report_token_hash_key" ON "sessions" ("report_token_hash");

-- P2: as before, and nodes also know when the user proved last who they are.
CREATE OR REPLACE FUNCTION sessions_matter(was sessions, became sessions) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
  SELECT was.revoked_at IS NULL AND (
    became.revoked_at IS NOT NULL
    OR (became.token_hash, became.credential_version, became.created_at, became.expires_at, became.ip_address,
        became.user_agent, became.authenticated_at, became.remembered)
      IS DISTINCT FROM
      (was.token_hash, was.credential_version, was.created_at, was.expires_at, was.ip_address,
        was.user_agent, was.authenticated_at, was.remembered)
  )
$$;

-- Small tables ---------------------------------------------------------------------------------------------

-- The link of a mail that was asked for. One for each user: a newer one takes the older one's place.
CREATE TABLE "password_resets" (
  "user_id" UUID NOT NULL,
  "token_hash" TEXT NOT NULL,
  "expires_at" TIMESTAMPTZ(3) NOT NULL,
  CONSTRAINT "password_resets_pkey" PRIMARY KEY ("user_id"),
  CONSTRAINT "password_resets_user_id_fkey"
    FOREIGN KEY ("user_id") REFERENCES "users" ("id") ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE UNIQUE INDEX "password_resets_token_hash_key" ON "password_resets" ("token_hash");

-- Who wants to sign up and has not shown yet that the email is theirs.
CREATE TABLE "pending_sign_ups" (
  "email" TEXT NOT NULL,
  "name" TEXT NOT NULL,
  "password_hash" TEXT NOT NULL,
  "token_hash" TEXT NOT NULL,
  "expires_at" TIMESTAMPTZ(3) NOT NULL,
  CONSTRAINT "pending_sign_ups_pkey" PRIMARY KEY ("email")
);
CREATE UNIQUE INDEX "pending_sign_ups_token_hash_key" ON "pending_sign_ups" ("token_hash");

-- The devices and networks that a user has logged in from, as digests: enough to know one again.
CREATE TABLE "known_origins" (
  "user_id" UUID NOT NULL,
  "digest" TEXT NOT NULL,
  "last_seen_at" TIMESTAMPTZ(3) NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT "known_origins_pkey" PRIMARY KEY ("user_id", "digest"),
  CONSTRAINT "known_origins_user_id_fkey"
    FOREIGN KEY ("user_id") REFERENCES "users" ("id") ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE INDEX "known_origins_last_seen_at_idx" ON "known_origins" ("last_seen_at");

-- Mails to be sent, written in the same transaction as what they tell of. They hold no secret: a link is made
-- when its mail is sent.
CREATE TABLE "outbox" (
  "id" UUID NOT NULL,
  "kind" TEXT NOT NULL,
  "user_id" UUID,
  "session_id" UUID,
  "details" JSONB NOT NULL DEFAULT '{}',
  "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT clock_timestamp(),
  "attempts" INTEGER NOT NULL DEFAULT 0,
  "next_attempt_at" TIMESTAMPTZ(3) NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT "outbox_pkey" PRIMARY KEY ("id"),
  CONSTRAINT "outbox_user_id_fkey"
    FOREIGN KEY ("user_id") REFERENCES "users" ("id") ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE INDEX "outbox_next_attempt_at_idx" ON "outbox" ("next_attempt_at");
CREATE INDEX "outbox_user_id_idx" ON "outbox" ("user_id");

-- Counters of rate-limiter-flexible, whose names and types these are. `expire` is milliseconds since the epoch.
CREATE TABLE "rate_limits" (
  "key" TEXT NOT NULL,
  "points" INTEGER NOT NULL DEFAULT 0,
  "expire" BIGINT,
  CONSTRAINT "rate_limits_pkey" PRIMARY KEY ("key")
);
CREATE INDEX "rate_limits_expire_idx" ON "rate_limits" ("expire");

-- Users ----------------------------------------------------------------------------------------------------

-- P4: as before. New: live_logout.keep_session may be 'all'; sessions that are kept go on with the new credentials,
-- so that no live session is older than those; and a link to reset the password dies with what it would change.
CREATE OR REPLACE FUNCTION users_end_sessions() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  changed RECORD;
BEGIN
  FOR changed IN
    SELECT CASE
        WHEN became.credential_version = was.credential_version THEN NULL
        WHEN live_logout_setting('reason') IS NOT NULL THEN live_logout_setting('reason')
        WHEN became.status <> 'ACTIVE' THEN 'USER_DEACTIVATED'
        WHEN became.role <> was.role THEN 'ROLE_CHANGED'
        WHEN became.password_hash <> was.password_hash THEN 'PASSWORD_CHANGED'
        ELSE 'REVOKED_BY_ADMIN'
      END AS reason, array_agg(became.id) AS user_ids
    FROM new_users became JOIN old_users was USING (id)
    WHERE (became.email, became.name, became.credential_version) <> (was.email, was.name, was.credential_version)
    GROUP BY 1
  LOOP
    IF changed.reason IS NOT NULL THEN
      UPDATE sessions SET revoked_at = now(), revocation_reason = changed.reason
        WHERE user_id = ANY (changed.user_ids) AND revoked_at IS NULL
          AND live_logout_setting('keep_session') IS DISTINCT FROM 'all'
          AND id::text IS DISTINCT FROM live_logout_setting('keep_session');
      UPDATE sessions SET credential_version = users.credential_version
        FROM users
        WHERE users.id = sessions.user_id AND users.id = ANY (changed.user_ids)
          AND sessions.revoked_at IS NULL AND sessions.credential_version <> users.credential_version;
      DELETE FROM password_resets WHERE user_id = ANY (changed.user_ids);
    ELSIF EXISTS (SELECT FROM sessions WHERE user_id = ANY (changed.user_ids) AND revoked_at IS NULL) THEN
      INSERT INTO session_event (type, session_id, user_id, actor_id, ip_address)
        SELECT 'SESSION_CHANGED', id, user_id, live_logout_setting('actor_id')::uuid,
               live_logout_setting('ip_address')
        FROM sessions WHERE user_id = ANY (changed.user_ids) AND revoked_at IS NULL;
    END IF;
  END LOOP;
  RETURN NULL;
END $$;
