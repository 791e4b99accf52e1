/** Clients and their networks as keys: sessions, handshakes and failures are counted by them. */
import { groupsOf } from './addresses.ts';

/** The key of a client: an IPv4 address, or an IPv6 /64, which belongs to one customer of a provider. */
export function clientKey(ip: string): string {
  return ip.includes(':') ? `${firstGroups(ip).join(':')}::/64` : ip;
}

/**
 * The larger IPv6 networks that one customer may have: a /56 or a /48. Other providers share such a network among many customers, so
 * that it may have the failures of several clients.
 */
export function networksAround(ip: string): readonly { readonly key: string; readonly clients: number }[] {
  if (!ip.includes(':')) return [];
  const [a, b, c, d] = firstGroups(ip) as [string, string, string, string];
  const upper = (Number.parseInt(d, 16) & 0xff00).toString(16);
  return [
    { key: `${a}:${b}:${c}:${upper}::/56`, clients: 4 },
    { key: `${a}:${b}:${c}::/48`, clients: 16 },
  ];
}

/** The network that gets a turn at argon2: an IPv4 /24, or an IPv6 /48. */
export function networkOf(ip: string): string {
  return ip.includes(':') ? `${firstGroups(ip).slice(0, 3).join(':')}::/48` : ip.slice(0, ip.lastIndexOf('.'));
}

/** The first four of eight groups, without leading zeros. */
function firstGroups(ip: string): readonly string[] {
  return groupsOf(ip)
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16));
}
