/** Addresses and networks of clients. */
import { BlockList, isIP, isIPv6 } from 'node:net';

/** @param networks addresses and CIDR networks, already checked by the configuration. @throws Error where one is neither. */
export function createNetworks(networks: readonly string[]): { has(ip: string): boolean } {
  const list = new BlockList();
  for (const network of networks) {
    const [address = '', prefix] = network.split('/');
    if (isIP(address) === 0) throw new Error(`${network} is no address and no network`);
    const family = isIPv6(address) ? 'ipv6' : 'ipv4';
    if (prefix === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(prefix), family);
  }
  if (networks.length === 0) return { has: () => false };
  return { has: (ip) => isIP(ip) !== 0 && list.check(ip, isIPv6(ip) ? 'ipv6' : 'ipv4') };
}

/** An IPv4 address that a dual-stack socket shows as `::ffff:192.0.2.1` is that IPv4 address. */
export function plainAddress(address: string): string {
  const mapped = /^::ffff:([0-9.]+)$/i.exec(address);
  return mapped?.[1] ?? address.replace(/%.*$/, '');
}

/** Whom failures and sessions are counted by: an IPv4 address, or an IPv6 /64, which one customer has to himself. */
export function clientKey(ip: string): string {
  return ip.includes(':') ? `${groupsOf(ip).join(':')}::/64` : ip;
}

/**
 * What one customer may have of IPv6 besides a /64: a /56 or a /48. Other providers give each of these to many, so such a
 * network has the failures of several clients free.
 */
export function networksAround(ip: string): readonly { readonly key: string; readonly clients: number }[] {
  if (!ip.includes(':')) return [];
  const [a, b, c, d] = groupsOf(ip) as [string, string, string, string];
  const upper = (Number.parseInt(d, 16) & 0xff00).toString(16);
  return [
    { key: `${a}:${b}:${c}:${upper}::/56`, clients: 4 },
    { key: `${a}:${b}:${c}::/48`, clients: 16 },
  ];
}

/** Whom turns are shared out to: an IPv4 /24, or an IPv6 /48. */
export function networkOf(ip: string): string {
  return ip.includes(':') ? `${groupsOf(ip).slice(0, 3).join(':')}::/48` : ip.slice(0, ip.lastIndexOf('.'));
}

/** The first four of eight, without leading zeros. */
function groupsOf(ip: string): readonly string[] {
  const [head = '', tail] = ip.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : 8 - left.length - right.length;
  const groups = [...left, ...Array<string>(Math.max(0, zeros)).fill('0'), ...right].slice(0, 4);
  return groups.map((group) => Number.parseInt(group, 16).toString(16));
}
