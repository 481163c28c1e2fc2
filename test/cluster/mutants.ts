import type { Database, Listener, ListenerOptions } from "../../src/database/database.ts";
import type { NodeOptions } from "../../src/main.ts";
import type { Directory } from "../../src/revocation/directory.ts";
import type { Lease } from "../../src/revocation/lease.ts";

/** Puts something between the tail and its connection. */
function wrapTail(
  wrap: (open: Database["openListener"], options: ListenerOptions) => Promise<Listener>,
): NodeOptions {
  return {
    wrapDatabase: (database) => ({
      ...database,
      openListener: (options) => wrap(database.openListener, options),
    }),
  };
}

function wrapRows(change: (row: Record<string, unknown>) => Record<string, unknown>): NodeOptions {
  return wrapTail(async (open, options) => {
    const listener = await open(options);
    return {
      ...listener,
      query: async (text, values) => (await listener.query(text, values)).map(change),
    };
  });
}

/** A node that is built wrongly on purpose: what each test of several nodes must notice. */
export const MUTANTS = {
  /** Its tail reads, and sees nothing. */
  tailOff: () => wrapRows((row) => ({ ...row, id: null })),

  /** It forgets the events of sessions that it is just loading. */
  fillRaceOpen: () => ({
    wrapDirectory(directory: Directory): Directory {
      const known = new Set<string>();
      return {
        ...directory,
        async resolve(tokenHash, purpose) {
          const resolution = await directory.resolve(tokenHash, purpose);
          if (resolution.kind === "live") known.add(resolution.lease.current.session.id);
          return resolution;
        },
        apply(event) {
          if (known.has(event.sessionId)) directory.apply(event);
        },
      };
    },
  }),

  /** Its time stands still, so its last read of the log is always new. */
  noStalenessCheck: () => ({ clock: { monotonicMs: () => 0 }, wallMs: () => 0 }),

  /** Its cursor is an id without a hash: "what comes after this id". It does not ask which server it talks to. */
  noAnchor: () =>
    wrapTail(async (open, options) => {
      const listener = await open(options);
      return {
        ...listener,
        async query(text, values) {
          const rows = await listener.query(text, values);
          const found = rows.map((row) => ({ ...row, identity: "any", row_hash: "any" }));
          const [cursor] = values;
          if (cursor === undefined || rows[0]?.["id"] === cursor) return found;
          return [{ ...found[0], id: cursor }, ...found];
        },
      };
    }),

  /** A socket is checked when it opens and trusted for ever. */
  noLeaseCheck: () => ({
    wrapDirectory(directory: Directory): Directory {
      return {
        ...directory,
        async resolve(tokenHash, purpose) {
          const resolution = await directory.resolve(tokenHash, purpose);
          if (resolution.kind !== "live" || purpose !== "connect") return resolution;
          return { kind: "live", lease: trustedForEver(resolution.lease) };
        },
        confirm: async (lease) => isTrustedForEver(lease) || directory.confirm(lease),
      };
    },
  }),

  /** After its connection was lost once it hears no notification any more. */
  listenNotRenewed: () => {
    let opened = 0;
    return wrapTail((open, options) => {
      opened += 1;
      return open(opened > 1 ? { ...options, onNotification: () => {} } : options);
    });
  },
} satisfies Record<string, () => NodeOptions>;

export type Mutant = keyof typeof MUTANTS;

const trusted = new WeakSet<Lease>();

function isTrustedForEver(lease: Lease): boolean {
  return trusted.has(lease);
}

function trustedForEver(lease: Lease): Lease {
  const forEver: Lease = {
    current: lease.current,
    ended: undefined,
    isLost: false,
    isOver: false,
    isDoubted: false,
    tellOver() {},
    forgetHolder() {},
    markConnected: () => lease.markConnected(),
    markUsed: () => lease.markUsed(),
    release: () => lease.release(),
  };
  trusted.add(forEver);
  return forEver;
}
