import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createFeed } from "../../src/revocation/feed.ts";
import type { SessionEvent } from "../../src/revocation/log.ts";
import { createRecentEvents } from "../../src/revocation/recent-events.ts";

const CAPACITY = 5;
const PAGE = 3;

/** A log, of which a node remembers the last few events, and which it applies later than they are committed. */
function setUp() {
  const log: SessionEvent[] = [];
  const recent = createRecentEvents(CAPACITY);
  let applied = 0;
  let pages = 0;
  const feed = createFeed({
    recent,
    async readPage(cursor, { userId }) {
      pages += 1;
      const matching = log.filter(
        ({ id, ...event }) => BigInt(id) > cursor && (userId ?? event.userId) === event.userId,
      );
      const events = matching.slice(0, PAGE);
      const last = events.length < PAGE ? log.at(-1)?.id : events.at(-1)?.id;
      return { events, cursor: BigInt(last ?? cursor) };
    },
    isKnown: async ({ id, rowHash }) => log.some((event) => event.id === id && event.rowHash === rowHash),
  });
  function commit(userId = "ann"): void {
    // Ids have gaps, as those of a sequence do.
    const id = String(Number(log.at(-1)?.id ?? 0) + 1 + (log.length % 3));
    const event = { type: "SESSION_CREATED", at: new Date(0), sessionId: "s", actorId: null, reason: null };
    log.push({ ...event, id, userId, rowHash: "" });
  }
  function apply(count = log.length): void {
    for (const event of log.slice(applied, applied + count)) {
      recent.add(event);
      applied += 1;
      feed.wake(event);
    }
  }
  recent.restart("0");
  return { log, feed, recent, commit, apply, pages: () => pages };
}

describe("the feed", () => {
  test("tells what comes, from memory", async () => {
    const { log, feed, commit, apply, pages } = setUp();
    const follower = feed.follow({});
    const next = follower.next();
    commit();
    apply();
    expect(await next).toBe(log[0]);
    expect(pages()).toBe(0);
  });

  test("without a cursor begins after what this node has applied", async () => {
    const { log, feed, commit, apply } = setUp();
    commit();
    apply();
    const follower = feed.follow({});
    commit();
    apply();
    expect(await follower.next()).toBe(log[1]);
  });

  test("reads the log for a follower that fell behind what is remembered", async () => {
    const { log, feed, commit, apply, pages } = setUp();
    const follower = feed.follow({});
    for (let count = 0; count < 4 * CAPACITY; count++) commit();
    apply();
    for (const event of log) expect(await follower.next()).toBe(event);
    expect(pages()).toBeGreaterThan(1);
  });

  test("wakes nobody for another user's events", async () => {
    const { log, feed, commit, apply } = setUp();
    const follower = feed.follow({ userId: "bob" });
    const next = follower.next();
    commit("ann");
    apply();
    commit("bob");
    apply();
    expect(await next).toBe(log[1]);
  });

  test("lets a follower go that waits", async () => {
    const { feed } = setUp();
    const follower = feed.follow({});
    const next = follower.next();
    follower.stop();
    expect(await next).toBeUndefined();
    expect(follower.isCursorLost()).toBe(false);
  });

  test("ends followers when the log has changed: their cursors mean nothing any more", async () => {
    const { feed, recent, commit, apply } = setUp();
    const [waiting, behind] = [feed.follow({}), feed.follow({}, 0n)];
    const next = waiting.next();
    recent.restart("0");
    feed.restart();
    expect(await next).toBeUndefined();
    expect(await behind.next()).toBeUndefined();
    expect([waiting.isCursorLost(), behind.isCursorLost()]).toEqual([true, true]);
    commit();
    apply();
    expect(await feed.follow({}, 0n).next()).toBeDefined();
  });

  describe("when another server goes on with the log", () => {
    async function setUpTwo() {
      const world = setUp();
      world.commit();
      world.commit();
      world.apply();
      const [behind, ahead, begunAhead] = [
        world.feed.follow({}, 0n),
        world.feed.follow({}, 0n),
        world.feed.follow({}, BigInt(world.log[1]?.id ?? 0)),
      ];
      await ahead.next();
      await ahead.next();
      return { ...world, behind, ahead, begunAhead, first: world.log[0], second: world.log[1] };
    }

    test("goes on with those whose last event it has", async () => {
      const { feed, first, ahead, behind, commit, apply, log } = await setUpTwo();
      feed.doubt(first?.id ?? "");
      commit();
      apply();
      expect(await ahead.next()).toBe(log[2]);
      expect(await behind.next()).toBe(first);
    });

    test("ends those who were told what it has lost, also when the id was used again", async () => {
      const { feed, first, second, ahead, behind, log } = await setUpTwo();
      if (second) log[1] = { ...second, rowHash: "another" };
      feed.doubt(first?.id ?? "");
      expect(await ahead.next()).toBeUndefined();
      expect(ahead.isCursorLost()).toBe(true);
      expect(await behind.next()).toBe(first);
    });

    test("ends those who began beyond what is known to be there, of whose event only the id is known", async () => {
      const { feed, first, begunAhead } = await setUpTwo();
      feed.doubt(first?.id ?? "");
      expect(await begunAhead.next()).toBeUndefined();
      expect(begunAhead.isCursorLost()).toBe(true);
    });
  });

  test("leaves no gap and repeats nothing, wherever a follower begins and however slow it is", async () => {
    const step = fc.oneof(
      fc.record({ do: fc.constant("commit" as const), userId: fc.constantFrom("ann", "bob") }),
      fc.record({ do: fc.constant("apply" as const), count: fc.integer({ min: 1, max: 8 }) }),
      fc.record({ do: fc.constant("take" as const), follower: fc.nat(3) }),
      fc.record({ do: fc.constant("doubt" as const) }),
      fc.record({
        do: fc.constant("follow" as const),
        from: fc.nat(),
        userId: fc.constantFrom("ann", undefined),
      }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const { log, feed, recent, commit, apply } = setUp();
        const followers: {
          isLost(): boolean;
          from: bigint;
          userId: string | undefined;
          told: string[];
          waiting: boolean;
          take(): void;
        }[] = [];
        for (const each of steps) {
          if (each.do === "commit") commit(each.userId);
          else if (each.do === "apply") apply(each.count);
          else if (each.do === "take") followers[each.follower]?.take();
          else if (each.do === "doubt") {
            recent.doubt();
            feed.doubt(String(recent.head()));
          } else {
            const from = BigInt(log[each.from % (log.length + 1)]?.id ?? 0);
            const follower = feed.follow({ userId: each.userId }, from);
            const seen = {
              from,
              userId: each.userId,
              told: [] as string[],
              isLost: follower.isCursorLost,
              waiting: false,
              take() {
                if (seen.waiting) return;
                seen.waiting = true;
                void follower.next().then((event) => {
                  seen.waiting = false;
                  if (event) seen.told.push(event.id);
                });
              },
            };
            followers.push(seen);
          }
          await new Promise((resolve) => setImmediate(resolve));
        }
        apply();
        for (const { from, userId, told, take, isLost } of followers) {
          // Of whom nothing is known but where they began, in a log that this node had not read so far.
          if (isLost() && told.length === 0) continue;
          const expected = log.filter(
            (event) => BigInt(event.id) > from && (userId ?? event.userId) === event.userId,
          );
          for (let turn = 0; turn <= expected.length; turn++) {
            take();
            await new Promise((resolve) => setImmediate(resolve));
          }
          expect(told).toEqual(expected.map(({ id }) => id));
        }
      }),
      { numRuns: 300 },
    );
  });
});
