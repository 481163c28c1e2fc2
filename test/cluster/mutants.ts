import { WebSocket } from "ws";
import type { Database, Listener, ListenerOptions } from "../../src/database/database.ts";
import type { NodeOptions } from "../../src/main.ts";
import type { Directory } from "../../src/revocation/directory.ts";
import type { Lease } from "../../src/revocation/lease.ts";
import { subjectOf } from "../../src/revocation/log.ts";
import { SUBSCRIPTION_ID } from "./subscribed-client.ts";

type Row = Readonly<Record<string, unknown>>;

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

/** Changes what the tail reads: a row of the server, then one for each event. */
function wrapRows(
  change: (server: Row, events: readonly Row[], cursor: unknown) => readonly Row[],
): NodeOptions {
  return wrapTail(async (open, options) => {
    const listener = await open(options);
    return {
      ...listener,
      async query(text, values) {
        const [server = {}, ...events] = await listener.query(text, values);
        return change(server, events, values[0]);
      },
    };
  });
}

/** Changes the database, before this node follows its log. */
function withSql(statement: string): NodeOptions {
  return wrapTail(async (open, options) => {
    const listener = await open(options);
    await listener.query(statement, []);
    return listener;
  });
}

/** A node that is built wrongly on purpose: what each test of several nodes must notice. */
export const MUTANTS = {
  /** Its tail reads, and sees nothing. */
  tailOff: () => wrapRows((server) => [server]),

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
    wrapRows((server, events, cursor) => {
      const found = events.map((row): Row => ({ ...row, row_hash: "any" }));
      const isAnchored = cursor === undefined || found[0]?.["id"] === cursor;
      const anchor: readonly Row[] = isAnchored ? [] : [{ ...found[0], id: cursor, row_hash: "any" }];
      return [{ ...server, identity: "any" }, ...anchor, ...found];
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

  /** It takes whatever a notification names for ended, instead of reading the log. */
  notificationTrusted() {
    let directory: Directory | undefined;
    const wrapped = wrapTail((open, options) =>
      open({
        ...options,
        onNotification(payload) {
          const subject = subjectOf(payload);
          if (subject) {
            const event = { id: "0", type: "SESSION_REVOKED", at: new Date(), actorId: null, reason: null };
            directory?.apply({ ...event, ...subject, rowHash: "" });
          }
          options.onNotification(payload);
        },
      }),
    );
    return {
      ...wrapped,
      wrapDirectory(plain: Directory) {
        directory = plain;
        return plain;
      },
    };
  },

  /** Before a restart it says of each subscription that nothing more comes, as is right when a session ends. */
  completeBeforeRestart() {
    const { close } = WebSocket.prototype;
    WebSocket.prototype.close = function (this: WebSocket, code, reason) {
      if (code === 1012) this.send(JSON.stringify({ type: "complete", id: SUBSCRIPTION_ID }));
      close.call(this, code, reason);
    };
    return {};
  },

  /** Its database lets transactions write the log at the same time, so that a later id may be committed first. */
  logLockDropped: () =>
    withSql(
      `CREATE OR REPLACE FUNCTION session_event_in_commit_order() RETURNS trigger LANGUAGE plpgsql AS $$
       BEGIN PERFORM set_config('live_logout.log_head', '0:', true); RETURN NULL; END $$`,
    ),

  /** Its database ends no session when a role or a password is changed. */
  changesEndNothing: () => withSql("ALTER TABLE users DISABLE TRIGGER users_end_sessions"),
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
