import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { networkOf, ONE_CLIENT, ONE_SITE } from "../../src/users/network.ts";

describe("the network of an address", () => {
  test.each([
    ["192.0.2.7", "192.0.2.7/32", "192.0.2.0/24"],
    ["::ffff:192.0.2.7", "192.0.2.7/32", "192.0.2.0/24"],
    ["::ffff:c000:207", "192.0.2.7/32", "192.0.2.0/24"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64", "2001:db8:1::/48"],
    ["2001:0DB8:0001:0002::1", "2001:db8:1:2::/64", "2001:db8:1::/48"],
    ["fe80::1%eth0", "fe80::/64", "fe80::/48"],
    ["::1", "::/64", "::/48"],
  ])("%s is of one client in %s and of one site in %s", (address, client, site) => {
    expect([networkOf(address, ONE_CLIENT), networkOf(address, ONE_SITE)]).toEqual([client, site]);
  });

  test.each([undefined, null, ""])("%o is unknown", (address) => {
    expect(networkOf(address, ONE_CLIENT)).toBe("unknown");
  });

  test("is found for any text: what is no address is its own", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", minLength: 1 }), (text) => {
        expect(typeof networkOf(text, ONE_SITE)).toBe("string");
      }),
    );
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (address) => {
        expect(networkOf(address, ONE_CLIENT)).toMatch(/\/(32|64)$/);
      }),
    );
  });
});
