import type { Queries } from "../database/database.ts";
import type { Session, User } from "../database/generated/client.ts";

/** A session and its user as read from the database. The password hash stays there. */
export interface Snapshot {
  readonly session: Session;
  readonly user: Omit<User, "passwordHash">;
}

export type SessionKey = { readonly tokenHash: string } | { readonly id: string };

/**
 * Reads a session, ended or not, with its user. Null if there is none. The two may be read at slightly different
 * moments; whatever changed in between is in the log, which the directory checks after every load.
 */
export async function readSnapshot(queries: Queries, key: SessionKey): Promise<Snapshot | null> {
  const found = await queries.session.findUnique({
    where: key,
    include: { user: { omit: { passwordHash: true } } },
  });
  if (!found) return null;
  const { user, ...session } = found;
  return { session, user };
}
