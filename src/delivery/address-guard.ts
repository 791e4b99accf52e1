/**
 * Addresses that no MX record may send us to: ourselves, loopback, private, link-local, reserved. RFC 6890, RFC 1918, RFC 6598.
 * Checked on the address that is connected to, so it does not matter by what name or detour it was found.
 */
import { BlockList, isIP, isIPv4 } from 'node:net';
import { groupsOf } from '../dns/dns.ts';

/**
 * self: the mail would come back; reserved: no mail host has such an address, whoever looks; private: a door into a network that the
 * sender has no business in, or the operator's own network, which `allowPrivate` may yet name.
 */
export type Refused = 'self' | 'private' | 'reserved' | undefined;
export type AddressGuard = (address: string) => Refused;

const PRIVATE = ['10.0.0.0/8', '100.64.0.0/10', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7'];
const RESERVED = [
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
  'fe80::/9', // link-local, and the site-local addresses of old
  'ff00::/8',
];

/** @param allowPrivate networks in CIDR, or addresses, that the operator allows; also where they are our own. */
export function createAddressGuard(allowPrivate: readonly string[], ownAddresses: () => readonly string[]): AddressGuard {
  const onPrivate = networks(PRIVATE);
  const reserved = networks(RESERVED);
  const judge = (address: string) =>
    onPrivate.contains(address) ? 'private' : reserved.contains(address) ? 'reserved' : undefined;
  const allowed = networks(allowPrivate);
  return (address) => {
    if (isIP(address) === 0) return 'reserved';
    if (allowed.contains(address)) return undefined;
    const inner = isIPv4(address) ? undefined : embedded(address);
    const own = ownAddresses();
    if (own.includes(address) || (inner !== undefined && own.includes(inner))) return 'self';
    return judge(address) ?? (inner === undefined ? undefined : judge(inner));
  };
}

/** The IPv4 address that NAT64 (64:ff9b::/96, RFC 6052) or 6to4 (2002::/16, RFC 3056) would bring the connection to. */
function embedded(address: string): string | undefined {
  const groups = groupsOf(address);
  if (groups[0] === '2002') return dotted(groups[1]!, groups[2]!);
  return groups.slice(0, 6).join(':') === '0064:ff9b:0000:0000:0000:0000' ? dotted(groups[6]!, groups[7]!) : undefined;
}

function dotted(high: string, low: string): string {
  return [high.slice(0, 2), high.slice(2), low.slice(0, 2), low.slice(2)].map((hex) => Number.parseInt(hex, 16)).join('.');
}

type Networks = { contains(address: string): boolean };

/** Throws for what is no network: the configuration is checked before, so this is our mistake. */
function networks(list: readonly string[]): Networks {
  // Two lists: in one, `::ffff:0:0/96` would contain every IPv4 address.
  const lists = { ipv4: new BlockList(), ipv6: new BlockList() };
  for (const entry of list) {
    const [address = '', prefix] = entry.split('/');
    const family = familyOf(address);
    lists[family].addSubnet(address, prefix === undefined ? (family === 'ipv4' ? 32 : 128) : Number(prefix), family);
  }
  return { contains: (address) => lists[familyOf(address)].check(address, familyOf(address)) };
}

function familyOf(address: string): 'ipv4' | 'ipv6' {
  return isIPv4(address) ? 'ipv4' : 'ipv6';
}
