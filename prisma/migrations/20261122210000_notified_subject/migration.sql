-- The wake-up says which session it is about, if its transaction has written of only one: a node on which nobody waits for that
-- session need not hurry. It stays a hint. Whoever hears it reads the log and believes that alone; what is said here, or forged,
-- makes a node read some milliseconds sooner or later, no more.
CREATE OR REPLACE FUNCTION session_event_notify() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('live_logout', coalesce((
    SELECT CASE WHEN count(*) = 1 THEN min(session_id::text) || ' ' || min(user_id::text) END
    FROM (SELECT * FROM session_event ORDER BY id DESC LIMIT 2) AS newest
    WHERE transaction_id = pg_current_xact_id()::text::bigint
  ), ''));
  RETURN NULL;
END $$;
