import { randomUUID } from "node:crypto";
import pg from "pg";
import { createToken } from "../../src/token.ts";
import { createPostgresServer } from "../../test/kit/postgres-server.ts";
import { now } from "./clock.ts";

/** A PostgreSQL server for one case, with an empty database. */
export interface BenchDatabase {
  readonly url: string;
  readonly sql: pg.Client;
  readonly remove: () => Promise<void>;
}

export async function createBenchDatabase(): Promise<BenchDatabase> {
  const server = await createPostgresServer(["-c", "max_connections=200", "-c", "fsync=on"]);
  await server.start();
  await server.query("postgres", "CREATE DATABASE bench");
  const url = `${server.url}/bench`;
  const sql = new pg.Client({ connectionString: url });
  await sql.connect();
  return {
    url,
    sql,
    async remove() {
      await sql.end();
      await server.remove();
    },
  };
}

export interface BenchSession {
  readonly id: string;
  readonly userId: string;
  readonly token: string;
}

/** Sessions by plain SQL, so many for each of so many new users. */
export async function createSessions(
  sql: pg.Client,
  { users, each }: { readonly users: number; readonly each: number },
): Promise<BenchSession[]> {
  const userIds = Array.from({ length: users }, () => randomUUID());
  await sql.query(
    `INSERT INTO users (id, email, name, password_hash)
     SELECT id, id || '@example.com', 'Bench', 'none' FROM unnest($1::uuid[]) AS id`,
    [userIds],
  );
  const sessions = userIds.flatMap((userId) =>
    Array.from({ length: each }, () => ({ id: randomUUID(), userId, ...createToken("session") })),
  );
  for (let start = 0; start < sessions.length; start += 5_000) {
    const batch = sessions.slice(start, start + 5_000);
    await sql.query(
      `INSERT INTO sessions (id, user_id, token_hash, credential_version, expires_at)
       SELECT id, user_id, hash, 1, now() + interval '1 day'
       FROM unnest($1::uuid[], $2::uuid[], $3::text[]) AS given(id, user_id, hash)`,
      [batch.map(({ id }) => id), batch.map(({ userId }) => userId), batch.map(({ tokenHash }) => tokenHash)],
    );
  }
  return sessions.map(({ id, userId, token }) => ({ id, userId, token }));
}

/** So many sessions that nobody has the tokens of, with ids as the service makes them, spread over a thousand users. */
export async function beginSessions(sql: pg.Client, count: number): Promise<void> {
  await sql.query(
    `INSERT INTO users (id, email, name, password_hash)
     SELECT md5('user ' || number)::uuid, 'user' || number || '@example.com', 'Bench', 'none'
     FROM generate_series(1, 1000) AS number ON CONFLICT DO NOTHING`,
  );
  await sql.query(
    `INSERT INTO sessions (id, user_id, token_hash, credential_version, expires_at)
     SELECT uuidv7(), md5('user ' || number % 1000 + 1)::uuid,
            encode(sha256(gen_random_uuid()::text::bytea), 'hex'), 1, now() + interval '1 day'
     FROM generate_series(1, $1::int) AS number`,
    [count],
  );
}

/** Ends all sessions by one statement. Resolves with the milliseconds until it was committed. */
export async function endAllSessions(sql: pg.Client): Promise<number> {
  const sentAt = now();
  await sql.query(
    "UPDATE sessions SET revoked_at = now(), revocation_reason = 'POLICY' WHERE revoked_at IS NULL",
  );
  return now() - sentAt;
}
