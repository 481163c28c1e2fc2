-- Other services that honour the same sessions: service accounts, signing keys, receivers of security event tokens.

-- A service account is a user of the role SERVICE, which no password lets in, and its token is a session with scopes: so it
-- is revoked live, expires and stands in the log like anybody's.
ALTER TABLE "sessions" ADD COLUMN "scopes" TEXT[] NOT NULL DEFAULT ARRAY[]::TEXT[];

-- P2: as before, and nodes also know the scopes.
CREATE OR REPLACE FUNCTION sessions_matter(was sessions, became sessions) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
  SELECT was.revoked_at IS NULL AND (
    became.revoked_at IS NOT NULL
    OR (became.token_hash, became.credential_version, became.created_at, became.expires_at, became.ip_address,
        became.user_agent, became.authenticated_at, became.remembered, became.scopes)
      IS DISTINCT FROM
      (was.token_hash, was.credential_version, was.created_at, was.expires_at, was.ip_address,
        was.user_agent, was.authenticated_at, was.remembered, was.scopes)
  )
$$;

CREATE TABLE "signing_keys" (
  "id" TEXT NOT NULL,
  "public_jwk" JSONB NOT NULL,
  "private_jwk" JSONB NOT NULL,
  "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT "signing_keys_pkey" PRIMARY KEY ("id")
);

-- How far each receiver is in the log, and when it is tried again.
CREATE TABLE "event_receivers" (
  "id" UUID NOT NULL,
  "audience" TEXT NOT NULL,
  "url" TEXT,
  "authorization" TEXT,
  "token_hash" TEXT,
  "cursor" BIGINT NOT NULL,
  "failures" INTEGER NOT NULL DEFAULT 0,
  "last_error" TEXT,
  "next_attempt_at" TIMESTAMPTZ(3) NOT NULL DEFAULT clock_timestamp(),
  "delivered_at" TIMESTAMPTZ(3),
  "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT "event_receivers_pkey" PRIMARY KEY ("id")
);
CREATE UNIQUE INDEX "event_receivers_token_hash_key" ON "event_receivers" ("token_hash");
