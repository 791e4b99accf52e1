/** IP addresses: their spelling, which are public, and which belong to this machine. RFC 6890, RFC 1918, RFC 6598. */
import { isIP, isIPv4 } from 'node:net';
import { networkInterfaces } from 'node:os';
import { createNetworks } from './networks.ts';

/** Networks for private use. */
const PRIVATE = createNetworks(['10.0.0.0/8', '100.64.0.0/10', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7']);
/** Networks that cannot contain a mail host of others. */
const RESERVED = createNetworks([
  '0.0.0.0/8',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '192.0.0.0/24',
  '198.18.0.0/15',
  '224.0.0.0/4',
  '240.0.0.0/4',
  '::/96', // unspecified, loopback, IPv4-compatible
  '::ffff:0:0/96', // IPv4-mapped
  '64:ff9b:1::/48',
  '100::/64',
  '2001::/32', // Teredo
  'fe80::/9', // link-local, and the old site-local addresses
  'ff00::/8',
]);

/** Whether an address is public, private, or reserved. For an IPv6 address that embeds an IPv4 address, that one counts too. An invalid address is reserved. */
export function reachOf(address: string): 'public' | 'private' | 'reserved' {
  if (isIP(address) === 0) return 'reserved';
  if (PRIVATE.has(address)) return 'private';
  if (RESERVED.has(address)) return 'reserved';
  const inner = embeddedIpv4(address);
  return inner === undefined ? 'public' : reachOf(inner);
}

export function isPublicAddress(address: string): boolean {
  return reachOf(address) === 'public';
}

const LOOPBACK = createNetworks(['127.0.0.0/8', '::1/128']);

/** Only this machine reaches it. */
export function isLoopback(address: string): boolean {
  return LOOPBACK.has(plainAddress(address));
}

type Interfaces = ReturnType<typeof networkInterfaces>;

/** The addresses of this machine, without loopback. */
export function machineAddresses(interfaces: Interfaces = networkInterfaces()): readonly string[] {
  const all = Object.values(interfaces).flatMap((list) => list ?? []);
  return [...new Set(all.filter(({ internal }) => !internal).map(({ address }) => address))];
}

/** The public addresses of this machine. Behind a NAT there is none. */
export function publicAddresses(interfaces?: Interfaces): readonly string[] {
  return machineAddresses(interfaces).filter(isPublicAddress);
}

/** The canonical spelling of an IPv6 address: RFC 5952. */
export function canonicalAddress(address: string): string {
  return isIP(address) === 6 && !address.includes('%') ? new URL(`http://[${address}]`).hostname.slice(1, -1) : address;
}

/** Turns `::ffff:192.0.2.1`, as a dual-stack socket shows an IPv4 address, into `192.0.2.1`. */
export function plainAddress(address: string): string {
  const mapped = /^::ffff:([0-9.]+)$/i.exec(address);
  return mapped?.[1] ?? address.replace(/%.*$/, '');
}

/** The IPv4 address that a connection would reach by NAT64 (64:ff9b::/96, RFC 6052) or 6to4 (2002::/16, RFC 3056). */
export function embeddedIpv4(address: string): string | undefined {
  if (isIP(address) !== 6) return undefined;
  const groups = groupsOf(address);
  if (groups[0] === '2002') return dotted(groups[1]!, groups[2]!);
  return groups.slice(0, 6).join(':') === '0064:ff9b:0000:0000:0000:0000' ? dotted(groups[6]!, groups[7]!) : undefined;
}

function dotted(high: string, low: string): string {
  return [high.slice(0, 2), high.slice(2), low.slice(0, 2), low.slice(2)].map((hex) => Number.parseInt(hex, 16)).join('.');
}

/** The name of the PTR records of an address (RFC 1035 §3.5, RFC 3596 §2.5). Empty for an invalid address. */
export function reverseName(address: string): string {
  if (isIPv4(address)) return `${address.split('.').reverse().join('.')}.in-addr.arpa`;
  if (isIP(address) !== 6) return '';
  return `${[...groupsOf(address).join('')].reverse().join('.')}.ip6.arpa`;
}

/** The eight groups of an IPv6 address, each of four hexadecimal digits. @param address one that `net.isIPv6` accepts. */
export function groupsOf(address: string): readonly string[] {
  const plain = (address.split('%')[0] ?? '').replace(
    /(\d+)\.(\d+)\.(\d+)\.(\d+)$/,
    (_, a, b, c, d) => `${pair(a, b)}:${pair(c, d)}`,
  );
  const [head = '', tail] = plain.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : 8 - left.length - right.length;
  return [...left, ...Array<string>(zeros).fill('0'), ...right].map((group) => group.toLowerCase().padStart(4, '0'));
}

function pair(high: string, low: string): string {
  return (Number(high) * 256 + Number(low)).toString(16);
}
