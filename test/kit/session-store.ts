import { randomUUID } from "node:crypto";
import type { SessionKey, Snapshot } from "../../src/revocation/snapshot.ts";

export const NOW = Date.parse("2026-11-21T12:00:00Z");

/** A database of sessions in memory, whose answers a test can hold back. */
export type SessionStore = ReturnType<typeof createSessionStore>;

export function createSessionStore() {
  const rows = new Map<string, Snapshot>();
  let gate: Promise<void> = Promise.resolve();
  let loads = 0;
  const find = (key: SessionKey) =>
    "id" in key
      ? rows.get(key.id)
      : [...rows.values()].find(({ session }) => session.tokenHash === key.tokenHash);
  return {
    rows,
    find,
    loads: () => loads,
    /** From now on answers wait, though what they hold was read at once: a query that is slow to return. */
    hold(): () => void {
      const { promise, resolve } = Promise.withResolvers<void>();
      gate = promise;
      return () => {
        gate = Promise.resolve();
        resolve();
      };
    },
    async load(key: SessionKey): Promise<Snapshot | null> {
      loads += 1;
      const seen = find(key) ?? null;
      await gate;
      return seen;
    },
    update(id: string, session: Partial<Snapshot["session"]>) {
      const row = rows.get(id);
      if (row) rows.set(id, { ...row, session: { ...row.session, ...session } });
    },
    insert(session: Partial<Snapshot["session"]> = {}): Snapshot["session"] {
      const userId = session.userId ?? randomUUID();
      const row: Snapshot = {
        session: {
          id: randomUUID(),
          userId,
          tokenHash: randomUUID(),
          credentialVersion: 1,
          createdAt: new Date(NOW),
          lastSeenAt: new Date(NOW),
          expiresAt: new Date(NOW + 3_600_000),
          ipAddress: null,
          userAgent: null,
          revokedAt: null,
          revocationReason: null,
          remembered: false,
          authenticatedAt: new Date(NOW),
          previousTokenHash: null,
          tokenRotatedAt: null,
          scopes: [],
          reportTokenHash: null,
          ...session,
        },
        user: {
          id: userId,
          email: "ann@example.com",
          name: "Ann",
          role: "USER",
          status: "ACTIVE",
          credentialVersion: 1,
          createdAt: new Date(NOW),
        },
      };
      rows.set(row.session.id, row);
      return row.session;
    },
  };
}
