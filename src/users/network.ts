import ipaddr from "ipaddr.js";

/** How much of an address stands for its network, in bits. */
export interface NetworkSize {
  readonly v4: number;
  readonly v6: number;
}

/** One client, as far as an address tells: IPv6 gives each a network of its own, to choose from at will. */
export const ONE_CLIENT: NetworkSize = { v4: 32, v6: 64 };
/** One provider's or office's network, in which addresses change without meaning anything. */
export const ONE_SITE: NetworkSize = { v4: 24, v6: 48 };

/** The network of an address: `192.0.2.0/24`. What is no address is its own network. */
export function networkOf(address: string | null | undefined, size: NetworkSize): string {
  if (!address || !ipaddr.isValid(address)) return address || "unknown";
  const parsed = ipaddr.process(address);
  const prefix = parsed.kind() === "ipv4" ? size.v4 : size.v6;
  const family = parsed.kind() === "ipv4" ? ipaddr.IPv4 : ipaddr.IPv6;
  // A zone names an interface of this machine, not a network.
  const bare = parsed.toNormalizedString().replace(/%.*$/, "");
  return `${family.networkAddressFromCIDR(`${bare}/${prefix}`).toString()}/${prefix}`;
}
