import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createDirectory, type Directory } from "../../src/revocation/directory.ts";
import type { Lease } from "../../src/revocation/lease.ts";
import type { SessionEvent } from "../../src/revocation/log.ts";
import { createRecentEvents } from "../../src/revocation/recent-events.ts";
import type { SessionKey, Snapshot } from "../../src/revocation/snapshot.ts";
import { MUTANTS } from "../cluster/mutants.ts";
import { createSessionStore, NOW } from "../kit/session-store.ts";

const SESSIONS = 2;
const TTL_MS = 3_600_000;

/** What may happen to the sessions, in any order and at any moment of one another. */
const step = fc.oneof(
  fc.record({ do: fc.constant("resolve" as const), session: fc.nat(SESSIONS - 1), hold: fc.boolean() }),
  fc.record({ do: fc.constant("revoke" as const), session: fc.nat(SESSIONS - 1) }),
  fc.record({ do: fc.constant("rotate" as const), session: fc.nat(SESSIONS - 1) }),
  fc.record({ do: fc.constant("release" as const) }),
  fc.record({ do: fc.constant("expire" as const) }),
  fc.record({ do: fc.constant("endDueLeases" as const) }),
  fc.record({ do: fc.constant("lose" as const), session: fc.nat(SESSIONS - 1) }),
  fc.record({ do: fc.constant("setFresh" as const), isFresh: fc.boolean() }),
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** A directory over a database and a log whose every answer and event comes when the scheduler lets it. */
function createWorld(
  scheduler: fc.Scheduler,
  options: { readonly mutate?: (directory: Directory) => Directory } = {},
) {
  const store = createSessionStore();
  const ids = Array.from({ length: SESSIONS }, () => store.insert().id);
  const log: SessionEvent[] = [];
  const applied = new Set<string>();
  const lost = new Set<string>();
  const held: Lease[] = [];
  const clock = { now: NOW, isFresh: true };
  const violations: string[] = [];

  function commit(type: string, sessionId: string, change: Partial<Snapshot["session"]>): void {
    const row = store.rows.get(sessionId);
    if (!row || row.session.revokedAt) return;
    store.update(sessionId, change);
    const { userId } = row.session;
    const reason = change.revocationReason ?? null;
    const at = new Date(clock.now);
    const id = String(log.length + 1);
    log.push({ id, type, at, sessionId, userId, actorId: null, reason, rowHash: "" });
    void scheduler.schedule(Promise.resolve(), `the tail reads ${log.length} events`).then(readLog);
  }
  let cursor = 0;
  function readLog(): void {
    for (const event of log.slice(cursor)) {
      directory.apply(event);
      if (event.type === "SESSION_REVOKED") applied.add(event.sessionId);
    }
    cursor = log.length;
  }

  const plain = createDirectory({
    async load(key: SessionKey) {
      await scheduler.schedule(Promise.resolve(), "a query reaches the database");
      const seen = store.find(key) ?? null;
      await scheduler.schedule(Promise.resolve(), "its answer comes back");
      return seen;
    },
    recent: createRecentEvents(4_096),
    now: () => clock.now,
    rules: { idleTimeoutMs: Number.POSITIVE_INFINITY },
    isFresh: () => clock.isFresh,
    async endDue({ id }) {
      await scheduler.schedule(Promise.resolve(), "an expiry reaches the database");
      const expiresAt = store.rows.get(id)?.session.expiresAt.getTime() ?? 0;
      if (expiresAt <= clock.now) {
        commit("SESSION_REVOKED", id, { revokedAt: new Date(clock.now), revocationReason: "EXPIRED" });
      }
    },
    onSeen: () => {},
    onError: (error) => violations.push(`error: ${error}`),
    capacity: 1,
  });
  const directory = options.mutate?.(plain) ?? plain;

  async function resolve(id: string, hold: boolean): Promise<void> {
    const tokenHash = store.rows.get(id)?.session.tokenHash ?? "";
    const wasLostBefore = lost.has(id);
    const wasAppliedBefore = applied.has(id);
    const wasRevokedBefore = store.rows.get(id)?.session.revokedAt !== null;
    const wasFresh = clock.isFresh;
    const resolution = await directory.resolve(tokenHash, "use");
    if (resolution.kind === "live") {
      const { lease } = resolution;
      if (wasLostBefore) violations.push("a session is accepted that the log has lost");
      if (wasAppliedBefore) violations.push("a session is accepted after its end was applied");
      if (wasRevokedBefore && !wasFresh)
        violations.push("a stale node accepts a session that the database ended");
      if (applied.has(id) && !lease.ended) violations.push("a lease is live though the end was applied");
      if (hold) {
        lease.markConnected();
        held.push(lease);
      } else lease.release();
    } else if (resolution.kind === "ended") {
      const isRevoked = store.rows.get(id)?.session.revokedAt !== null;
      if (!isRevoked && !lost.has(id)) violations.push("a session is refused that nobody ended");
    }
  }

  async function run(step: Step): Promise<void> {
    switch (step.do) {
      case "resolve":
        return resolve(ids[step.session] ?? "", step.hold);
      case "revoke":
        return commit("SESSION_REVOKED", ids[step.session] ?? "", {
          revokedAt: new Date(clock.now),
          revocationReason: "POLICY",
        });
      case "rotate":
        return commit("SESSION_CHANGED", ids[step.session] ?? "", { tokenHash: `rotated ${log.length}` });
      case "release":
        return held.shift()?.release();
      case "expire":
        clock.now += TTL_MS / 2;
        return;
      case "lose":
        // A failover that lost the commit which began this session: there is no event, only another log.
        store.rows.delete(ids[step.session] ?? "");
        void scheduler.schedule(Promise.resolve(), "the tail finds another log").then(() => {
          readLog();
          directory.doubt("another");
          lost.add(ids[step.session] ?? "");
        });
        return;
      case "endDueLeases":
        return directory.endDueLeases();
      case "setFresh":
        clock.isFresh = step.isFresh;
    }
  }

  return { store, ids, applied, lost, held, clock, violations, directory, run };
}

async function explore(options?: Parameters<typeof createWorld>[1], runs = 5_000): Promise<void> {
  await fc.assert(
    fc.asyncProperty(
      fc.scheduler(),
      fc.array(step, { minLength: 5, maxLength: 20 }),
      async (scheduler, steps) => {
        const world = createWorld(scheduler, options);
        const running = steps.map(async (each) => {
          await scheduler.schedule(Promise.resolve(), each.do);
          await world.run(each);
        });
        await scheduler.waitIdle();
        await Promise.all(running);

        // When all is quiet: what ended is ended everywhere, what lives can be used, and leases agree with it.
        expect(world.violations).toEqual([]);
        world.clock.isFresh = true;
        for (const lease of world.held) {
          const { id } = lease.current.session;
          if (world.lost.has(id)) expect(lease.ended !== undefined || lease.isLost).toBe(true);
          else if (world.applied.has(id)) expect(lease.ended).toBeDefined();
          else expect(lease.isLost).toBe(false);
        }
        for (const id of world.ids) {
          if (world.lost.has(id)) continue;
          const { tokenHash, revokedAt } = world.store.rows.get(id)?.session ?? {};
          const resolving = world.directory.resolve(tokenHash ?? "", "use");
          await scheduler.waitIdle();
          const resolution = await resolving;
          const isExpired = (world.store.rows.get(id)?.session.expiresAt.getTime() ?? 0) <= world.clock.now;
          expect(resolution.kind).toBe(revokedAt || isExpired ? "ended" : "live");
        }
      },
    ),
    { numRuns: runs },
  );
}

describe("the directory, whatever happens in whatever order", () => {
  test("accepts no session after its end was applied, refuses none that lives, and ends every lease", async () => {
    await explore();
  });

  test("is seen to fail by this very test when it goes on believing its memory of a log that was lost", async () => {
    const trusting = (directory: Directory): Directory => ({ ...directory, doubt: () => {} });
    await expect(explore({ mutate: trusting }, 5_000)).rejects.toThrow(/Property failed/);
  });

  test("is seen to fail by this very test when it forgets the ends that come during a load", async () => {
    const { wrapDirectory: forgetful } = MUTANTS.fillRaceOpen();
    await expect(explore({ mutate: forgetful }, 5_000)).rejects.toThrow(/Property failed/);
  });
});
