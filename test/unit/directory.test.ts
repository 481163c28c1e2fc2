import { randomUUID } from "node:crypto";
import { describe, expect, test } from "vitest";
import { createDirectory, type Directory, type DirectoryOptions } from "../../src/revocation/directory.ts";
import type { SessionEvent } from "../../src/revocation/log.ts";
import { createRecentEvents } from "../../src/revocation/recent-events.ts";
import type { Snapshot } from "../../src/revocation/snapshot.ts";
import { createSessionStore, NOW, type SessionStore } from "../kit/session-store.ts";

const HOUR_MS = 3_600_000;

function setUp(options: Partial<DirectoryOptions> = {}) {
  const store = createSessionStore();
  const clock = { now: NOW, isFresh: true };
  const errors: unknown[] = [];
  const directory = createDirectory({
    load: store.load,
    recent: createRecentEvents(4_096),
    now: () => clock.now,
    rules: { idleTimeoutMs: 2 * HOUR_MS },
    isFresh: () => clock.isFresh,
    async endDue({ id }) {
      store.update(id, { revokedAt: new Date(clock.now), revocationReason: "EXPIRED" });
    },
    onSeen: () => {},
    onError: (error) => errors.push(error),
    capacity: 100,
    ...options,
  });
  return { store, clock, directory, errors };
}

let eventId = 0;
function event(
  type: string,
  { id, userId }: Snapshot["session"],
  reason: string | null = null,
): SessionEvent {
  eventId += 1;
  return {
    id: String(eventId),
    type,
    at: new Date(NOW),
    sessionId: id,
    userId,
    actorId: null,
    reason,
    rowHash: "",
  };
}

/** What a commit of a revocation is: the row, and then the event that the tail applies. */
function revoke(store: SessionStore, directory: Directory, session: Snapshot["session"], reason: string) {
  store.update(session.id, { revokedAt: new Date(NOW), revocationReason: reason });
  directory.apply(event("SESSION_REVOKED", session, reason));
}

async function leaseOf(directory: Directory, { tokenHash }: Snapshot["session"]) {
  const resolution = await directory.resolve(tokenHash, "use");
  if (resolution.kind !== "live") throw new Error(`the session is ${resolution.kind}`);
  return resolution.lease;
}

/** Lets everything run that needs no more than its turn. */
const turn = () => new Promise((resolve) => setImmediate(resolve));

describe("the directory", () => {
  test("counts what is done over an open connection as use, and the connection itself as none", async () => {
    const seen: number[] = [];
    const { store, clock, directory } = setUp({ onSeen: (_sessionId, now) => seen.push(now) });
    const session = store.insert({ expiresAt: new Date(NOW + 100 * HOUR_MS) });
    const resolution = await directory.resolve(session.tokenHash, "connect");
    if (resolution.kind !== "live") throw new Error(`the session is ${resolution.kind}`);
    const { lease } = resolution;
    lease.markConnected();
    expect(seen).toEqual([]);
    clock.now += 1.5 * HOUR_MS;
    lease.markUsed();
    expect(seen).toEqual([clock.now]);
    clock.now += 1.5 * HOUR_MS;
    expect(await directory.confirm(lease)).toBe(true);
    clock.now += 1.5 * HOUR_MS;
    expect(await directory.confirm(lease)).toBe(false);
  });

  test("confirms no lease whose time has come, also while the database cannot be asked", async () => {
    let isDown = false;
    const { store, clock, directory } = setUp({
      load: (key) => (isDown ? Promise.reject(new Error("down")) : store.load(key)),
    });
    const lease = await leaseOf(directory, store.insert());
    lease.markConnected();
    isDown = true;
    clock.now += HOUR_MS - 1;
    expect(await directory.confirm(lease)).toBe(true);
    clock.now += 1;
    await expect(directory.confirm(lease)).rejects.toThrow("down");
    isDown = false;
    expect(await directory.confirm(lease)).toBe(false);
    expect(lease.ended?.reason).toBe("EXPIRED");
  });

  test("needs no query when the event of a session's beginning comes after it was loaded", async () => {
    const { store, directory } = setUp();
    const session = store.insert();
    const lease = await leaseOf(directory, session);
    directory.apply(event("SESSION_CREATED", session));
    expect(lease.isDoubted).toBe(false);
    (await leaseOf(directory, session)).release();
    expect(store.loads()).toBe(1);
  });

  describe("when the log has changed behind it", () => {
    test("verifies what is held, and forgets the rest", async () => {
      const { store, directory } = setUp();
      const [held, unheld] = [store.insert(), store.insert()];
      const lease = await leaseOf(directory, held);
      (await leaseOf(directory, unheld)).release();
      const loadsBefore = store.loads();
      directory.doubt("another");
      expect(lease.isDoubted).toBe(true);
      await turn();
      expect(store.loads()).toBe(loadsBefore + 1);
      expect(lease).toMatchObject({ isDoubted: false, isLost: false, ended: undefined });
      await leaseOf(directory, unheld);
      expect(store.loads()).toBe(loadsBefore + 2);
    });

    test("confirms no lease from memory meanwhile", async () => {
      const { store, directory } = setUp();
      const session = store.insert();
      const lease = await leaseOf(directory, session);
      const letGo = store.hold();
      store.rows.delete(session.id);
      directory.doubt("another");
      const confirmed = directory.confirm(lease);
      letGo();
      expect(await confirmed).toBe(false);
      expect(lease.isLost).toBe(true);
    });

    test("loses the leases on sessions that the database does not have any more", async () => {
      const { store, directory } = setUp();
      const session = store.insert();
      const lease = await leaseOf(directory, session);
      store.rows.delete(session.id);
      directory.doubt("another");
      await turn();
      expect(lease).toMatchObject({ isLost: true, ended: undefined });
      expect(lease.isOver).toBe(true);
      expect(await directory.resolve(session.tokenHash, "use")).toEqual({ kind: "unknown" });
    });

    test("ends with their reason the leases on sessions that are revoked there", async () => {
      const { store, directory } = setUp();
      const session = store.insert();
      const lease = await leaseOf(directory, session);
      store.update(session.id, { revokedAt: new Date(NOW), revocationReason: "POLICY" });
      directory.doubt("another");
      await turn();
      expect(lease.ended?.reason).toBe("POLICY");
    });

    test("loses the leases that cannot be verified, so that their clients come back and ask", async () => {
      let isDown = false;
      const { store, directory, errors } = setUp({
        load: (key) => (isDown ? Promise.reject(new Error("down")) : store.load(key)),
      });
      const session = store.insert();
      const lease = await leaseOf(directory, session);
      isDown = true;
      directory.doubt("another");
      await turn();
      expect(lease.isLost).toBe(true);
      expect(errors).toHaveLength(1);
      isDown = false;
      expect((await directory.resolve(session.tokenHash, "use")).kind).toBe("live");
    });

    test("does not admit what a query saw before", async () => {
      const { store, directory } = setUp();
      const session = store.insert();
      const letGo = store.hold();
      const resolving = directory.resolve(session.tokenHash, "use");
      await turn();
      store.rows.delete(session.id);
      directory.doubt("another");
      letGo();
      expect(await resolving).toEqual({ kind: "unknown" });
    });
  });

  test("loads a session once and then answers from memory", async () => {
    const { store, directory } = setUp();
    const session = store.insert();
    for (let count = 0; count < 3; count++) (await leaseOf(directory, session)).release();
    expect(store.loads()).toBe(1);
  });

  test("concurrent requests of one token share one load", async () => {
    const { store, directory } = setUp();
    const session = store.insert();
    const leases = await Promise.all([1, 2, 3].map(() => leaseOf(directory, session)));
    expect(store.loads()).toBe(1);
    expect(new Set(leases.map((lease) => lease.current)).size).toBe(1);
  });

  test("does not know a token that is not in the database", async () => {
    const { directory } = setUp();
    expect(await directory.resolve("nothing", "use")).toEqual({ kind: "unknown" });
  });

  test("ends every lease of a session with its reason when its event comes", async () => {
    const { store, directory } = setUp();
    const session = store.insert();
    const [one, two] = [await leaseOf(directory, session), await leaseOf(directory, session)];
    const told: unknown[] = [];
    for (const lease of [one, two]) lease.tellOver({ onOver: () => told.push(lease.ended?.reason) });
    const takenBack = { onOver: () => told.push("one that was taken back") };
    one.tellOver(takenBack);
    one.forgetHolder(takenBack);
    revoke(store, directory, session, "ROLE_CHANGED");
    // In the same turn: whoever holds a lease is told before anything else can happen.
    expect(told).toEqual(["ROLE_CHANGED", "ROLE_CHANGED"]);
    for (const lease of [one, two]) {
      expect(lease.isOver).toBe(true);
      expect(lease.ended).toMatchObject({ sessionId: session.id, reason: "ROLE_CHANGED" });
    }
    expect(await directory.resolve(session.tokenHash, "use")).toMatchObject({
      kind: "ended",
      end: { reason: "ROLE_CHANGED" },
    });
  });

  describe("the fill race: a session ends while it is being loaded", () => {
    test("what the load saw is not believed: nothing is resurrected", async () => {
      const { store, directory } = setUp();
      const session = store.insert();
      const letGo = store.hold();
      const resolving = directory.resolve(session.tokenHash, "use");
      await turn();

      revoke(store, directory, session, "REVOKED_BY_USER");
      letGo();

      expect(await resolving).toMatchObject({ kind: "ended", end: { reason: "REVOKED_BY_USER" } });
      expect(await directory.resolve(session.tokenHash, "use")).toMatchObject({ kind: "ended" });
    });

    test("a change while it is being loaded is read again", async () => {
      const { store, directory } = setUp();
      const session = store.insert();
      const letGo = store.hold();
      const resolving = leaseOf(directory, session);
      await turn();
      store.update(session.id, { ipAddress: "192.0.2.1" });
      directory.apply(event("SESSION_CHANGED", session));
      letGo();
      expect((await resolving).current.session.ipAddress).toBe("192.0.2.1");
    });

    test("also when more events came than are remembered", async () => {
      const { store, directory } = setUp();
      const session = store.insert();
      const letGo = store.hold();
      const resolving = directory.resolve(session.tokenHash, "use");
      await turn();
      revoke(store, directory, session, "POLICY");
      for (let count = 0; count < 5_000; count++) {
        directory.apply(event("SESSION_CREATED", { ...session, id: `other ${count}` }));
      }
      letGo();
      expect(await resolving).toMatchObject({ kind: "ended", end: { reason: "POLICY" } });
    });

    test("events of other sessions cost no second load", async () => {
      const { store, directory } = setUp();
      const session = store.insert();
      const letGo = store.hold();
      const resolving = leaseOf(directory, session);
      await turn();
      directory.apply(event("SESSION_REVOKED", store.insert()));
      letGo();
      await resolving;
      expect(store.loads()).toBe(1);
    });
  });

  test("a change reaches the leases that are held, which live on", async () => {
    const { store, directory } = setUp();
    const session = store.insert();
    const lease = await leaseOf(directory, session);
    store.update(session.id, { tokenHash: "rotated" });
    directory.apply(event("SESSION_CHANGED", session));
    await turn();
    expect(lease.current.session.tokenHash).toBe("rotated");
    expect(lease.ended).toBeUndefined();
    expect(await directory.resolve(session.tokenHash, "use")).toEqual({ kind: "unknown" });
    const another = await leaseOf(directory, { ...session, tokenHash: "rotated" });
    expect(another.current).toBe(lease.current);
  });

  test("an event of a type that only a newer version knows makes the session be read again", async () => {
    const { store, directory } = setUp();
    const session = store.insert();
    await leaseOf(directory, session);
    store.update(session.id, { revokedAt: new Date(NOW), revocationReason: "POLICY" });
    directory.apply(event("SESSION_FROZEN", session));
    await turn();
    expect(await directory.resolve(session.tokenHash, "use")).toMatchObject({ kind: "ended" });
  });

  describe("time", () => {
    test("ends a session that nobody ended, once the database agrees", async () => {
      const { store, clock, directory } = setUp();
      const session = store.insert();
      const lease = await leaseOf(directory, session);
      clock.now += HOUR_MS;
      expect(await directory.resolve(session.tokenHash, "use")).toMatchObject({
        kind: "ended",
        end: { reason: "EXPIRED" },
      });
      expect(lease.ended?.reason).toBe("EXPIRED");
    });

    test("ends it on open connections too, without a request", async () => {
      const { store, clock, directory } = setUp();
      const lease = await leaseOf(directory, store.insert());
      lease.markConnected();
      clock.now += HOUR_MS - 1;
      directory.endDueLeases();
      await turn();
      expect(lease.ended).toBeUndefined();
      clock.now += 1;
      directory.endDueLeases();
      await turn();
      expect(lease.ended?.reason).toBe("EXPIRED");
    });

    test("does not end a session that was prolonged, or used on another node, meanwhile", async () => {
      const { store, clock, directory } = setUp();
      const session = store.insert();
      const lease = await leaseOf(directory, session);
      clock.now += HOUR_MS;
      store.update(session.id, { expiresAt: new Date(NOW + 3 * HOUR_MS), lastSeenAt: new Date(clock.now) });
      (await leaseOf(directory, session)).release();
      expect(lease.ended).toBeUndefined();
    });

    test("an open socket is not use: connecting does not move last seen, a request does", async () => {
      const seen: string[] = [];
      const { store, directory } = setUp({ onSeen: (sessionId) => seen.push(sessionId) });
      const session = store.insert();
      await directory.resolve(session.tokenHash, "connect");
      expect(seen).toEqual([]);
      await directory.resolve(session.tokenHash, "use");
      expect(seen).toEqual([session.id]);
    });
  });

  describe("P3: while the log may be unread", () => {
    test("every request asks the database, and finds what the tail has not told yet", async () => {
      const { store, clock, directory } = setUp();
      const session = store.insert();
      const lease = await leaseOf(directory, session);
      clock.isFresh = false;
      (await leaseOf(directory, session)).release();
      expect(store.loads()).toBe(2);
      store.update(session.id, { revokedAt: new Date(NOW), revocationReason: "POLICY" });
      expect(await directory.confirm(lease)).toBe(false);
      expect(lease.ended?.reason).toBe("POLICY");
      expect(await directory.resolve(session.tokenHash, "use")).toMatchObject({ kind: "ended" });
    });

    test("a session that was deleted is not confirmed", async () => {
      const { store, clock, directory } = setUp();
      const session = store.insert();
      const lease = await leaseOf(directory, session);
      clock.isFresh = false;
      store.rows.delete(session.id);
      expect(await directory.confirm(lease)).toBe(false);
    });

    test("a database that does not answer either is an error, not an answer from memory", async () => {
      let isDown = false;
      const { store, clock, directory } = setUp({
        load: async (key) => {
          if (isDown) throw new Error("down");
          return store.load(key);
        },
      });
      const session = store.insert();
      const lease = await leaseOf(directory, session);
      isDown = true;
      clock.isFresh = false;
      await expect(directory.resolve(session.tokenHash, "use")).rejects.toThrow("down");
      await expect(directory.confirm(lease)).rejects.toThrow("down");
    });

    test("a subscriber that learned of an end from the database is not told again by the log", async () => {
      const { store, clock, directory } = setUp();
      const userId = randomUUID();
      const [own, other] = [store.insert({ userId }), store.insert({ userId })];
      const ends = directory.follow({ userId }, own.id, (end) => end);
      const lease = await leaseOf(directory, other);
      clock.isFresh = false;
      store.update(other.id, { revokedAt: new Date(NOW), revocationReason: "POLICY" });
      await directory.confirm(lease);
      directory.apply(event("SESSION_REVOKED", other, "POLICY"));
      revoke(store, directory, own, "LOGOUT");
      const told: string[] = [];
      for await (const end of ends) told.push(end.sessionId);
      expect(told).toEqual([other.id, own.id]);
    });
  });

  describe("who waits", () => {
    const subjectOf = ({ id, userId }: Snapshot["session"]) => ({ sessionId: id, userId });

    test("nobody waits for a session that is not here", () => {
      const { store, directory } = setUp();
      expect(directory.isAwaited(subjectOf(store.insert()))).toBe(false);
    });

    test("a session in memory is waited for, also while nobody holds it", async () => {
      const { store, directory } = setUp();
      const [here, elsewhere] = [store.insert(), store.insert()];
      (await leaseOf(directory, here)).release();
      expect(directory.isAwaited(subjectOf(here))).toBe(true);
      expect(directory.isAwaited(subjectOf(elsewhere))).toBe(false);
      revoke(store, directory, here, "LOGOUT");
      expect(directory.isAwaited(subjectOf(here))).toBe(false);
    });

    test("while a session is being read, any may be the one", async () => {
      const { store, directory } = setUp();
      const [one, other] = [store.insert(), store.insert()];
      const leased = leaseOf(directory, one);
      expect(directory.isAwaited(subjectOf(other))).toBe(true);
      await leased;
      expect(directory.isAwaited(subjectOf(other))).toBe(false);
    });

    test("whoever follows a user's sessions waits for each of them", async () => {
      const { store, directory } = setUp();
      const [own, other] = [store.insert(), store.insert()];
      const ends = directory.follow({ userId: other.userId }, own.id, (end) => end);
      expect(directory.isAwaited(subjectOf(other))).toBe(true);
      await ends.return();
      expect(directory.isAwaited(subjectOf(other))).toBe(false);
    });
  });

  describe("memory", () => {
    test("forgets the sessions used longest ago, but none that is held", async () => {
      const { store, directory } = setUp({ capacity: 2 });
      const [held, old, recent] = [store.insert(), store.insert(), store.insert()];
      const lease = await leaseOf(directory, held);
      (await leaseOf(directory, old)).release();
      (await leaseOf(directory, recent)).release();
      expect(store.loads()).toBe(3);
      (await leaseOf(directory, held)).release();
      (await leaseOf(directory, recent)).release();
      expect(store.loads()).toBe(3);
      (await leaseOf(directory, old)).release();
      expect(store.loads()).toBe(4);
      revoke(store, directory, held, "LOGOUT");
      expect(lease.ended?.reason).toBe("LOGOUT");
    });

    test("a lease can be released twice without releasing another's", async () => {
      const { store, directory } = setUp({ capacity: 0 });
      const session = store.insert();
      const [one, two] = [await leaseOf(directory, session), await leaseOf(directory, session)];
      one.release();
      one.release();
      revoke(store, directory, session, "LOGOUT");
      expect(two.ended?.reason).toBe("LOGOUT");
    });

    test("a session is online while a connection holds it", async () => {
      const { store, directory } = setUp();
      const session = store.insert();
      const [request, connection] = [await leaseOf(directory, session), await leaseOf(directory, session)];
      expect(directory.isOnline(session.id)).toBe(false);
      connection.markConnected();
      connection.markConnected();
      expect(directory.isOnline(session.id)).toBe(true);
      request.release();
      expect(directory.isOnline(session.id)).toBe(true);
      connection.release();
      expect(directory.isOnline(session.id)).toBe(false);
    });
  });
});
