/** Whom clients are counted by: the networks that one customer of a provider has to himself. */
import { groupsOf } from '../net/addresses.ts';

/** Whom failures and sessions are counted by: an IPv4 address, or an IPv6 /64, which one customer has to himself. */
export function clientKey(ip: string): string {
  return ip.includes(':') ? `${firstGroups(ip).join(':')}::/64` : ip;
}

/**
 * What one customer may have of IPv6 besides a /64: a /56 or a /48. Other providers give each of these to many, so such a
 * network has the failures of several clients free.
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

/** Whom turns are shared out to: an IPv4 /24, or an IPv6 /48. */
export function networkOf(ip: string): string {
  return ip.includes(':') ? `${firstGroups(ip).slice(0, 3).join(':')}::/48` : ip.slice(0, ip.lastIndexOf('.'));
}

/** The first four of eight, without leading zeros. */
function firstGroups(ip: string): readonly string[] {
  return groupsOf(ip)
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16));
}
