-- What a mass logout does for each row, made cheaper. Measured on 100 000 sessions: docs/performance.md.

-- The same rule as before, asked for only where it has something to say. Nothing to say: a live session stays live, or ends and
-- says why, as all of our own statements do.
DROP TRIGGER sessions_revoked_for_good ON sessions;
CREATE TRIGGER sessions_revoked_for_good BEFORE UPDATE ON sessions
  FOR EACH ROW
  WHEN (NEW.id <> OLD.id OR NEW.user_id <> OLD.user_id OR OLD.revoked_at IS NOT NULL
        OR (NEW.revoked_at IS NULL) <> (NEW.revocation_reason IS NULL))
  EXECUTE FUNCTION sessions_revoked_for_good();

-- Rows are written anew when they end, so their ends are in the order of their places: a summary of each range of pages is enough
-- to find the old ones, and costs a row nothing.
DROP INDEX "sessions_revoked_at_idx";
CREATE INDEX "sessions_revoked_at_idx" ON "sessions" USING brin ("revoked_at");

-- As before, but where sessions have ended it is not worth while to join all rows first to see whether there is an event at all.
CREATE OR REPLACE FUNCTION sessions_to_log() RETURNS trigger LANGUAGE plpgsql SET enable_nestloop = off AS $$
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
  ELSIF (EXISTS (SELECT FROM old_sessions WHERE revoked_at IS NULL)
         AND EXISTS (SELECT FROM new_sessions WHERE revoked_at IS NOT NULL))
     OR EXISTS (SELECT FROM new_sessions became JOIN old_sessions was USING (id) WHERE sessions_matter(was, became)) THEN
    INSERT INTO session_event (type, session_id, user_id, actor_id, reason, ip_address)
      SELECT CASE WHEN became.revoked_at IS NULL THEN 'SESSION_CHANGED' ELSE 'SESSION_REVOKED' END,
             became.id, became.user_id, live_logout_setting('actor_id')::uuid,
             became.revocation_reason, live_logout_setting('ip_address')
      FROM new_sessions became JOIN old_sessions was USING (id)
      WHERE sessions_matter(was, became);
  END IF;
  RETURN NULL;
END $$;
