import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { judge, type SessionTimes } from "../../src/revocation/validity.ts";

const NOW = Date.parse("2026-11-21T12:00:00Z");
const RULES = { idleTimeoutMs: 60_000 };
const ACTIVE = { status: "ACTIVE" };

function session(times: Partial<SessionTimes> = {}): SessionTimes {
  return {
    lastSeenAt: new Date(NOW),
    expiresAt: new Date(NOW + 3_600_000),
    revokedAt: null,
    revocationReason: null,
    scopes: [],
    ...times,
  };
}

describe("a session", () => {
  test("of a service account is never idle, and expires", () => {
    const service = session({ scopes: ["events:read"] });
    expect(judge(service, ACTIVE, NOW + 3_599_999, RULES)).toEqual({ valid: true, until: NOW + 3_600_000 });
    expect(judge(service, ACTIVE, NOW + 3_600_000, RULES)).toMatchObject({ valid: false, reason: "EXPIRED" });
  });

  test("is valid until it has been idle for too long", () => {
    expect(judge(session(), ACTIVE, NOW, RULES)).toEqual({ valid: true, until: NOW + 60_000 });
    expect(judge(session(), ACTIVE, NOW + 59_999, RULES).valid).toBe(true);
    expect(judge(session(), ACTIVE, NOW + 60_000, RULES)).toEqual({
      valid: false,
      reason: "IDLE_TIMEOUT",
      since: new Date(NOW + 60_000),
      due: true,
    });
  });

  test("is valid until it expires, however much it is used", () => {
    const used = session({ lastSeenAt: new Date(NOW + 3_599_999) });
    expect(judge(used, ACTIVE, NOW + 3_599_999, RULES)).toEqual({ valid: true, until: NOW + 3_600_000 });
    expect(judge(used, ACTIVE, NOW + 3_600_000, RULES)).toMatchObject({
      valid: false,
      reason: "EXPIRED",
      due: true,
    });
  });

  test("never becomes idle where there is no idle timeout", () => {
    const rules = { idleTimeoutMs: Number.POSITIVE_INFINITY };
    expect(judge(session({ lastSeenAt: new Date(0) }), ACTIVE, NOW, rules).valid).toBe(true);
  });

  test("that was revoked is invalid for that reason, whatever else holds", () => {
    const revoked = session({
      revokedAt: new Date(NOW - 5),
      revocationReason: "POLICY",
      expiresAt: new Date(0),
    });
    expect(judge(revoked, ACTIVE, NOW, RULES)).toEqual({
      valid: false,
      reason: "POLICY",
      since: new Date(NOW - 5),
      due: false,
    });
  });

  test("that was revoked for a reason nobody knows is invalid all the same", () => {
    for (const revocationReason of [null, "", "FUTURE", "toString", "__proto__"]) {
      const revoked = session({ revokedAt: new Date(NOW), revocationReason });
      expect(judge(revoked, ACTIVE, NOW, RULES)).toMatchObject({ valid: false, reason: "REVOKED_BY_ADMIN" });
    }
  });

  test("of a user who is not active is invalid", () => {
    expect(judge(session(), { status: "DEACTIVATED" }, NOW, RULES)).toMatchObject({
      valid: false,
      reason: "USER_DEACTIVATED",
      due: false,
    });
  });

  test("that is valid now is valid at every moment until the one it names, and at none after", () => {
    const time = fc.integer({ min: 0, max: 10_000_000 }).map((offset) => NOW + offset);
    fc.assert(
      fc.property(time, time, time, time, (lastSeen, expires, now, later) => {
        const times = session({ lastSeenAt: new Date(lastSeen), expiresAt: new Date(expires) });
        const verdict = judge(times, ACTIVE, now, RULES);
        if (!verdict.valid || later < now) return;
        expect(judge(times, ACTIVE, later, RULES).valid).toBe(later < verdict.until);
      }),
    );
  });
});
