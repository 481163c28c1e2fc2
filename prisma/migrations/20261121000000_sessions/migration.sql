-- Tables ----------------------------------------------------------------------------------------------

CREATE TABLE "users" (
  "id" UUID NOT NULL,
  "email" TEXT NOT NULL,
  "name" TEXT NOT NULL,
  "role" TEXT NOT NULL DEFAULT 'USER',
  "status" TEXT NOT NULL DEFAULT 'ACTIVE',
  "password_hash" TEXT NOT NULL,
  "credential_version" INTEGER NOT NULL DEFAULT 1,
  "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT "users_pkey" PRIMARY KEY ("id"),
  CONSTRAINT "users_email_is_lower_case" CHECK ("email" = lower("email")),
  CONSTRAINT "users_status_is_known" CHECK ("status" IN ('ACTIVE', 'DEACTIVATED'))
);
CREATE UNIQUE INDEX "users_email_key" ON "users" ("email");

CREATE TABLE "sessions" (
  "id" UUID NOT NULL,
  "user_id" UUID NOT NULL,
  "token_hash" TEXT NOT NULL,
  "credential_version" INTEGER NOT NULL,
  "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT clock_timestamp(),
  "last_seen_at" TIMESTAMPTZ(3) NOT NULL DEFAULT clock_timestamp(),
  "expires_at" TIMESTAMPTZ(3) NOT NULL,
  "ip_address" TEXT,
  "user_agent" TEXT,
  "revoked_at" TIMESTAMPTZ(3),
  "revocation_reason" TEXT,
  CONSTRAINT "sessions_pkey" PRIMARY KEY ("id"),
  CONSTRAINT "sessions_token_hash_is_sha256" CHECK ("token_hash" ~ '^[0-9a-f]{64}$')
);
CREATE UNIQUE INDEX "sessions_token_hash_key" ON "sessions" ("token_hash");
CREATE INDEX "sessions_user_id_idx" ON "sessions" ("user_id");
ALTER TABLE "sessions" ADD CONSTRAINT "sessions_user_id_fkey"
  FOREIGN KEY ("user_id") REFERENCES "users" ("id") ON DELETE CASCADE ON UPDATE CASCADE;

CREATE TABLE "session_event" (
  "id" BIGSERIAL NOT NULL,
  "type" TEXT NOT NULL,
  "at" TIMESTAMPTZ(3) NOT NULL DEFAULT clock_timestamp(),
  "session_id" UUID NOT NULL,
  "user_id" UUID NOT NULL,
  "actor_id" UUID,
  "reason" TEXT,
  "ip_address" TEXT,
  CONSTRAINT "session_event_pkey" PRIMARY KEY ("id")
);
CREATE INDEX "session_event_user_id_id_idx" ON "session_event" ("user_id", "id");

-- Settings of a transaction ------------------------------------------------------------------------------
-- A writer may say more about what it does, for this transaction only:
--   SELECT set_config('live_logout.reason', 'POLICY', true);
--   live_logout.actor_id       uuid of the user who does it; else the system
--   live_logout.reason         why sessions end; else what fits the change
--   live_logout.ip_address     from where
--   live_logout.keep_session   uuid of one session that a change of credentials spares
--   live_logout.same_password  'on': the new hash is of the same password (rehashing), nobody is logged out
--   live_logout.retention      'on': old events may be deleted

-- After a transaction that set it, a setting reads as '' instead of NULL.
CREATE FUNCTION live_logout_setting(name TEXT) RETURNS TEXT LANGUAGE sql STABLE AS $$
  SELECT nullif(current_setting('live_logout.' || name, true), '')
$$;

-- The promises are argued with each statement seeing what committed before it. In a REPEATABLE READ
-- transaction a role change would not see, and not end, a session that committed after its snapshot.
CREATE FUNCTION live_logout_require_read_committed() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF current_setting('transaction_isolation') NOT IN ('read committed', 'read uncommitted') THEN
    RAISE EXCEPTION 'live-logout: write users and sessions in a READ COMMITTED transaction, not in %',
      upper(current_setting('transaction_isolation')) USING ERRCODE = 'LL004';
  END IF;
END $$;

-- The log --------------------------------------------------------------------------------------------------

-- P2: event ids appear in commit order, so that "id > cursor" never skips one. The lock is held until
-- the commit; the sequence is asked for the ids after it, because a statement trigger runs first.
CREATE FUNCTION session_event_in_commit_order() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM live_logout_require_read_committed();
  PERFORM pg_advisory_xact_lock(hashtextextended('live_logout.session_event', 0));
  RETURN NULL;
END $$;
CREATE TRIGGER session_event_in_commit_order BEFORE INSERT ON session_event
  FOR EACH STATEMENT EXECUTE FUNCTION session_event_in_commit_order();

-- P1: the wake-up is atomic with the commit. It carries nothing, because a notification is only a hint.
CREATE FUNCTION session_event_notify() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('live_logout', '');
  RETURN NULL;
END $$;
CREATE TRIGGER session_event_notify AFTER INSERT ON session_event
  FOR EACH STATEMENT EXECUTE FUNCTION session_event_notify();

-- P6: the log is append-only.
CREATE FUNCTION session_event_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' AND live_logout_setting('retention') = 'on' THEN
    RETURN NULL;
  END IF;
  RAISE EXCEPTION 'live-logout: session_event is append-only, % is refused', TG_OP USING ERRCODE = 'LL002';
END $$;
CREATE TRIGGER session_event_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON session_event
  FOR EACH STATEMENT EXECUTE FUNCTION session_event_append_only();

-- Sessions -------------------------------------------------------------------------------------------------

-- P5: no session is born from credentials that are no longer the user's. The shared lock makes a change
-- of credentials that is under way commit first, or wait and then see (and end) this session.
CREATE FUNCTION sessions_no_stillborn() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM live_logout_require_read_committed();
  PERFORM 1 FROM users
    WHERE id = NEW.user_id AND status = 'ACTIVE' AND credential_version = NEW.credential_version FOR SHARE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'live-logout: the user''s credentials changed while they logged in' USING ERRCODE = 'LL001';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER sessions_no_stillborn BEFORE INSERT ON sessions
  FOR EACH ROW EXECUTE FUNCTION sessions_no_stillborn();

-- Revoked is for good, and every revocation has a reason (P6).
CREATE FUNCTION sessions_revoked_for_good() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.id <> OLD.id OR NEW.user_id <> OLD.user_id THEN
    RAISE EXCEPTION 'live-logout: a session keeps its id and its user' USING ERRCODE = 'LL003';
  END IF;
  IF OLD.revoked_at IS NOT NULL THEN
    IF NEW.revoked_at IS DISTINCT FROM OLD.revoked_at
      OR NEW.revocation_reason IS DISTINCT FROM OLD.revocation_reason THEN
      RAISE EXCEPTION 'live-logout: session % is revoked for good', OLD.id USING ERRCODE = 'LL003';
    END IF;
  ELSIF NEW.revoked_at IS NULL THEN
    NEW.revocation_reason := NULL;
  ELSE
    NEW.revocation_reason :=
      coalesce(NEW.revocation_reason, live_logout_setting('reason'), 'REVOKED_BY_ADMIN');
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER sessions_revoked_for_good BEFORE UPDATE ON sessions
  FOR EACH ROW EXECUTE FUNCTION sessions_revoked_for_good();

-- P2: whatever begins, ends or changes a session, by whomever, stands in the log in the same transaction.
-- Nested loops are off because transition tables have no statistics: the planner would join them by
-- nested loop, and 93 500 rows did not finish in ten minutes (a hash join takes one second).
CREATE FUNCTION sessions_to_log() RETURNS trigger LANGUAGE plpgsql SET enable_nestloop = off AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    INSERT INTO session_event (type, session_id, user_id, actor_id, ip_address)
      SELECT 'SESSION_CREATED', id, user_id,
             coalesce(live_logout_setting('actor_id')::uuid, user_id),
             coalesce(live_logout_setting('ip_address'), ip_address)
      FROM new_sessions;
  ELSIF TG_OP = 'DELETE' THEN
    -- Asked first because an INSERT of no rows would still take the lock of the log.
    IF EXISTS (SELECT FROM old_sessions WHERE revoked_at IS NULL) THEN
      INSERT INTO session_event (type, session_id, user_id, actor_id, reason, ip_address)
        SELECT 'SESSION_REVOKED', id, user_id, live_logout_setting('actor_id')::uuid,
               coalesce(live_logout_setting('reason'), 'REVOKED_BY_ADMIN'), live_logout_setting('ip_address')
        FROM old_sessions WHERE revoked_at IS NULL;
    END IF;
  ELSIF EXISTS (
    SELECT FROM new_sessions became JOIN old_sessions was USING (id) WHERE sessions_matter(was, became)
  ) THEN
    INSERT INTO session_event (type, session_id, user_id, actor_id, reason, ip_address)
      SELECT CASE WHEN became.revoked_at IS NULL THEN 'SESSION_CHANGED' ELSE 'SESSION_REVOKED' END,
             became.id, became.user_id, live_logout_setting('actor_id')::uuid,
             became.revocation_reason, live_logout_setting('ip_address')
      FROM new_sessions became JOIN old_sessions was USING (id)
      WHERE sessions_matter(was, became);
  END IF;
  RETURN NULL;
END $$;

-- Whether an update concerns the nodes: the session ended, or something changed that a directory keeps.
-- last_seen_at does not: every node writes its own, in batches.
CREATE FUNCTION sessions_matter(was sessions, became sessions) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
  SELECT was.revoked_at IS NULL AND (
    became.revoked_at IS NOT NULL
    OR (became.token_hash, became.credential_version, became.created_at, became.expires_at, became.ip_address, became.user_agent)
      IS DISTINCT FROM
      (was.token_hash, was.credential_version, was.created_at, was.expires_at, was.ip_address, was.user_agent)
  )
$$;

CREATE TRIGGER sessions_insert_to_log AFTER INSERT ON sessions
  REFERENCING NEW TABLE AS new_sessions FOR EACH STATEMENT EXECUTE FUNCTION sessions_to_log();
CREATE TRIGGER sessions_update_to_log AFTER UPDATE ON sessions
  REFERENCING OLD TABLE AS old_sessions NEW TABLE AS new_sessions
  FOR EACH STATEMENT EXECUTE FUNCTION sessions_to_log();
CREATE TRIGGER sessions_delete_to_log AFTER DELETE ON sessions
  REFERENCING OLD TABLE AS old_sessions FOR EACH STATEMENT EXECUTE FUNCTION sessions_to_log();

-- P2: TRUNCATE fires no row or transition triggers, so nobody would be logged out.
CREATE FUNCTION live_logout_refuse_truncate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'live-logout: use DELETE FROM %, which logs people out; TRUNCATE does not', TG_TABLE_NAME
    USING ERRCODE = 'LL003';
END $$;
CREATE TRIGGER sessions_refuse_truncate BEFORE TRUNCATE ON sessions
  FOR EACH STATEMENT EXECUTE FUNCTION live_logout_refuse_truncate();
CREATE TRIGGER users_refuse_truncate BEFORE TRUNCATE ON users
  FOR EACH STATEMENT EXECUTE FUNCTION live_logout_refuse_truncate();

-- Users ----------------------------------------------------------------------------------------------------

-- P4, P5: a change of role, status or password makes a new version of the credentials.
CREATE FUNCTION users_version_credentials() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.credential_version := OLD.credential_version;
  IF NEW.role <> OLD.role OR NEW.status <> OLD.status
    OR (NEW.password_hash <> OLD.password_hash AND live_logout_setting('same_password') IS NULL) THEN
    PERFORM live_logout_require_read_committed();
    NEW.credential_version := OLD.credential_version + 1;
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER users_version_credentials BEFORE UPDATE ON users
  FOR EACH ROW EXECUTE FUNCTION users_version_credentials();

-- P4: the revocations that follow from a change of a user commit together with it. Sessions that live on
-- are loaded anew by every node. Arrays instead of joins let the index of sessions be used.
CREATE FUNCTION users_end_sessions() RETURNS trigger LANGUAGE plpgsql AS $$
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
          AND id IS DISTINCT FROM live_logout_setting('keep_session')::uuid;
    END IF;
    IF EXISTS (SELECT FROM sessions WHERE user_id = ANY (changed.user_ids) AND revoked_at IS NULL) THEN
      INSERT INTO session_event (type, session_id, user_id, actor_id, ip_address)
        SELECT 'SESSION_CHANGED', id, user_id, live_logout_setting('actor_id')::uuid,
               live_logout_setting('ip_address')
        FROM sessions WHERE user_id = ANY (changed.user_ids) AND revoked_at IS NULL;
    END IF;
  END LOOP;
  RETURN NULL;
END $$;
CREATE TRIGGER users_end_sessions AFTER UPDATE ON users
  REFERENCING OLD TABLE AS old_users NEW TABLE AS new_users
  FOR EACH STATEMENT EXECUTE FUNCTION users_end_sessions();
