-- Personal data goes when its time is over. The chain holds an address by a salted digest only, so address and salt
-- can be dropped from an event, or the address shortened to its network, and the chain is still whole.

-- P6: the log stays append-only but for that. Under the same setting as retention an event may lose its address.
CREATE OR REPLACE FUNCTION session_event_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP IN ('DELETE', 'UPDATE') AND live_logout_setting('retention') = 'on' THEN
    RETURN NULL;
  END IF;
  RAISE EXCEPTION 'live-logout: session_event is append-only, % is refused', TG_OP USING ERRCODE = 'LL002';
END $$;

-- Without the salt nobody can find the address by trying them all. An address that keeps its meaning keeps its salt.
CREATE FUNCTION session_event_forget_address() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF to_jsonb(NEW) - 'ip_address' - 'ip_salt' IS DISTINCT FROM to_jsonb(OLD) - 'ip_address' - 'ip_salt'
    OR NEW.ip_salt IS NOT NULL
    OR (NEW.ip_address IS NOT NULL AND (OLD.ip_address IS NULL OR NEW.ip_address !~ '/\d+$')) THEN
    RAISE EXCEPTION 'live-logout: of an event only the address may be dropped, or shortened to a network, with its salt'
      USING ERRCODE = 'LL002';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER session_event_forget_address BEFORE UPDATE ON session_event
  FOR EACH ROW EXECUTE FUNCTION session_event_forget_address();

-- What has an address still. Most events of a mass logout have none.
CREATE INDEX "session_event_ip_address_idx" ON "session_event" ("at") WHERE ip_address IS NOT NULL;
CREATE INDEX "sessions_created_at_idx" ON "sessions" ("created_at") WHERE ip_address IS NOT NULL;
