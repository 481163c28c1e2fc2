-- The log becomes a chain: each row carries the hash of itself and of the row before it. A node's cursor is an
-- id with its hash, so that it notices when the log changed behind it (a restored backup, a failover that lost
-- the last commits and reuses their ids), and `npm run verify-log` names a row that somebody altered.

ALTER TABLE "session_event"
  ADD COLUMN "transaction_id" BIGINT,
  ADD COLUMN "ip_salt" UUID,
  ADD COLUMN "ip_digest" BYTEA,
  ADD COLUMN "previous_hash" BYTEA,
  ADD COLUMN "row_hash" BYTEA;

-- What a row says, in one spelling whatever the settings of the connection. An address takes part as a salted
-- digest only, so that the address and its salt can be dropped later and the chain still holds.
CREATE FUNCTION session_event_hash(event session_event) RETURNS BYTEA LANGUAGE sql STABLE AS $$
  SELECT sha256(convert_to(jsonb_build_array(
    encode(event.previous_hash, 'hex'), event.id, event.type,
    to_char(event.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS'),
    event.session_id, event.user_id, event.actor_id, event.reason, encode(event.ip_digest, 'hex'),
    event.transaction_id
  )::text, 'UTF8'))
$$;

CREATE FUNCTION session_event_ip_digest(salt UUID, ip_address TEXT) RETURNS BYTEA LANGUAGE sql IMMUTABLE AS $$
  SELECT sha256(convert_to(salt::text || ip_address, 'UTF8'))
$$;

-- P2: as before (event ids appear in commit order), and the row that the next one is chained to is read under the
-- same lock. It travels to the trigger for each row as a setting: asking the table for every row of a mass
-- logout would double its time.
CREATE OR REPLACE FUNCTION session_event_in_commit_order() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM live_logout_require_read_committed();
  PERFORM pg_advisory_xact_lock(hashtextextended('live_logout.session_event', 0));
  PERFORM set_config('live_logout.log_head', coalesce(
    (SELECT id || ':' || encode(row_hash, 'hex') FROM session_event ORDER BY id DESC LIMIT 1), '0:'), true);
  RETURN NULL;
END $$;

-- P6: whoever alters, adds or removes a row afterwards breaks the chain.
CREATE FUNCTION session_event_chain() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  head TEXT := live_logout_setting('log_head');
BEGIN
  IF NEW.id <= split_part(head, ':', 1)::bigint THEN
    RAISE EXCEPTION 'live-logout: event % would come before the newest one; raise the sequence session_event_id_seq',
      NEW.id USING ERRCODE = 'LL005';
  END IF;
  NEW.transaction_id := pg_current_xact_id()::text::bigint;
  NEW.previous_hash := decode(split_part(head, ':', 2), 'hex');
  NEW.ip_salt := NULL;
  NEW.ip_digest := NULL;
  IF NEW.ip_address IS NOT NULL THEN
    NEW.ip_salt := gen_random_uuid();
    NEW.ip_digest := session_event_ip_digest(NEW.ip_salt, NEW.ip_address);
  END IF;
  NEW.row_hash := session_event_hash(NEW);
  PERFORM set_config('live_logout.log_head', NEW.id || ':' || encode(NEW.row_hash, 'hex'), true);
  RETURN NEW;
END $$;

-- What the log holds already is chained as it stands, in one go; nobody can append meanwhile.
ALTER TABLE "session_event" DISABLE TRIGGER session_event_append_only;
DO $$
DECLARE
  event session_event;
  previous BYTEA := '';
BEGIN
  FOR event IN SELECT * FROM session_event ORDER BY id LOOP
    event.transaction_id := pg_current_xact_id()::text::bigint;
    event.previous_hash := previous;
    IF event.ip_address IS NOT NULL THEN
      event.ip_salt := gen_random_uuid();
      event.ip_digest := session_event_ip_digest(event.ip_salt, event.ip_address);
    END IF;
    previous := session_event_hash(event);
    UPDATE session_event SET transaction_id = event.transaction_id, previous_hash = event.previous_hash,
      ip_salt = event.ip_salt, ip_digest = event.ip_digest, row_hash = previous WHERE id = event.id;
  END LOOP;
END $$;
ALTER TABLE "session_event" ENABLE TRIGGER session_event_append_only;
ALTER TABLE "session_event"
  ALTER COLUMN "transaction_id" SET NOT NULL,
  ALTER COLUMN "previous_hash" SET NOT NULL,
  ALTER COLUMN "row_hash" SET NOT NULL;

CREATE TRIGGER session_event_chain BEFORE INSERT ON session_event
  FOR EACH ROW EXECUTE FUNCTION session_event_chain();

-- Retention deletes from the log's beginning only, and never the newest row, which is every node's anchor.
CREATE FUNCTION session_event_keep_newest() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM deleted) AND NOT EXISTS (SELECT FROM session_event WHERE id > (SELECT max(id) FROM deleted))
    OR EXISTS (SELECT FROM session_event WHERE id < (SELECT max(id) FROM deleted)) THEN
    RAISE EXCEPTION 'live-logout: only the oldest events may be deleted, and never the newest'
      USING ERRCODE = 'LL002';
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER session_event_keep_newest AFTER DELETE ON session_event
  REFERENCING OLD TABLE AS deleted FOR EACH STATEMENT EXECUTE FUNCTION session_event_keep_newest();

-- What the sweep looks for: sessions whose time has come, and revoked ones that nobody asks for any more.
CREATE INDEX "sessions_expires_at_idx" ON "sessions" ("expires_at") WHERE revoked_at IS NULL;
CREATE INDEX "sessions_last_seen_at_idx" ON "sessions" ("last_seen_at") WHERE revoked_at IS NULL;
CREATE INDEX "sessions_revoked_at_idx" ON "sessions" ("revoked_at");
