import { randomBytes } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createToken, hashToken } from "../../src/token.ts";

describe("a session token", () => {
  test("is lls_, 43 characters of 256 random bits and a checksum of 6, all one word", () => {
    for (let count = 0; count < 1_000; count++)
      expect(createToken("session").token).toMatch(/^lls_[0-9A-Za-z]{49}$/);
  });

  test("holds all 256 bits, the largest and the smallest too", () => {
    const smallest = createToken("session", () => new Uint8Array(32)).token;
    const largest = createToken("session", () => new Uint8Array(32).fill(255)).token;
    expect(smallest.slice(4, 47)).toBe("0".repeat(43));
    expect(hashToken("session", smallest)).toBeDefined();
    expect(hashToken("session", largest)).toBeDefined();
    let value = 0n;
    const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    for (const digit of largest.slice(4, 47)) value = value * 62n + BigInt(digits.indexOf(digit));
    expect(value).toBe(2n ** 256n - 1n);
  });

  test("is unique", () => {
    const tokens = new Set(Array.from({ length: 100_000 }, () => createToken("session", randomBytes).token));
    expect(tokens.size).toBe(100_000);
  });

  test("hashes to 64 hexadecimal digits, always the same", () => {
    const token = createToken("session").token;
    expect(hashToken("session", token)).toMatch(/^[0-9a-f]{64}$/);
    expect(hashToken("session", token)).toBe(hashToken("session", token));
  });

  test("with any one character changed, added or removed is none", () => {
    const token = createToken("session").token;
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: token.length - 1 }),
        fc.string({ minLength: 0, maxLength: 2 }),
        (at, text) => {
          const changed = token.slice(0, at) + text + token.slice(at + 1);
          if (changed !== token) expect(hashToken("session", changed)).toBeUndefined();
        },
      ),
    );
  });

  test.each(["", "lls_", "\n", "lls_é", "x".repeat(1_000_000)])("%.10j is none", (text) => {
    expect(hashToken("session", text)).toBeUndefined();
  });

  test("with a line end behind it is none", () => {
    expect(hashToken("session", `${createToken("session").token}\n`)).toBeUndefined();
  });

  test("is any text: nothing makes the parser fail", () => {
    fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => void hashToken("session", text)));
  });
});
