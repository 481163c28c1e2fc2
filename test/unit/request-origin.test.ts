import type { IncomingMessage } from "node:http";
import { describe, expect, test } from "vitest";
import { readConfig } from "../../src/config.ts";
import { clientAddress, isFromAllowedSite, isSecure, ownOrigin } from "../../src/http/request-origin.ts";

/** As much of a request as these functions read. */
function request(headers: Record<string, string>, remoteAddress = "127.0.0.1"): IncomingMessage {
  const host = { host: "login.example.com", ...headers };
  return { headers: host, socket: { remoteAddress } } as unknown as IncomingMessage;
}

const PLAIN = readConfig({});
const BEHIND_PROXY = readConfig({ TRUST_PROXY: "loopback" });
const PUBLIC = readConfig({ PUBLIC_URL: "https://login.example.com" });

describe("the service's own origin", () => {
  test("is PUBLIC_URL, whatever the Host says", () => {
    expect(ownOrigin(request({ host: "evil.example" }), PUBLIC)).toBe("https://login.example.com");
  });

  test("is else the host that it was reached by", () => {
    expect(ownOrigin(request({ host: "localhost:4000" }), PLAIN)).toBe("http://localhost:4000");
    expect(ownOrigin(request({ host: "[::1]:4000" }), PLAIN)).toBe("http://[::1]:4000");
    expect(ownOrigin(request({ host: "Login.Example.com:80" }), PLAIN)).toBe("http://login.example.com");
  });

  test.each(["", "a/b", "user@host", "a:99999", "a b", "a?b", "[::1", "a#b"])(
    "is nothing for the Host %j",
    (host) => {
      expect(ownOrigin(request({ host }), PLAIN)).toBeUndefined();
    },
  );

  test("is https if a trusted proxy says so, and only then", () => {
    const headers = { "x-forwarded-proto": "https" };
    expect(isSecure(request(headers), BEHIND_PROXY)).toBe(true);
    expect(isSecure(request(headers, "192.0.2.1"), BEHIND_PROXY)).toBe(false);
    expect(isSecure(request(headers), PLAIN)).toBe(false);
  });
});

describe("the client's address", () => {
  const forwarded = { "x-forwarded-for": "198.51.100.9, 203.0.113.7" };

  test("is the socket's, and a forged header changes nothing", () => {
    expect(clientAddress(request(forwarded, "192.0.2.1"), PLAIN)).toBe("192.0.2.1");
    expect(clientAddress(request(forwarded, "192.0.2.1"), BEHIND_PROXY)).toBe("192.0.2.1");
  });

  test("is behind a trusted proxy the one that the proxy saw, not the one that the client claims", () => {
    expect(clientAddress(request(forwarded), BEHIND_PROXY)).toBe("203.0.113.7");
  });

  test("is the same for both ways to write an IPv4 address", () => {
    expect(clientAddress(request({}, "::ffff:192.0.2.1"), PLAIN)).toBe("192.0.2.1");
  });
});

describe("a page may call the service", () => {
  test.each([
    [{}, true],
    [{ origin: "http://login.example.com" }, true],
    [{ origin: "https://login.example.com" }, false],
    [{ origin: "http://login.example.com:8080" }, false],
    [{ origin: "http://login.example.com.evil.example" }, false],
    [{ origin: "null" }, false],
    [{ origin: "" }, false],
    [{ "sec-fetch-site": "same-origin" }, true],
    [{ "sec-fetch-site": "none" }, false],
    [{ "sec-fetch-site": "same-site" }, false],
    [{ "sec-fetch-site": "cross-site" }, false],
  ])("with %j: %j", (headers, isAllowed) => {
    expect(isFromAllowedSite(request(headers), PLAIN)).toBe(isAllowed);
  });
});
