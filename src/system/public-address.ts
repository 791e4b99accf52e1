/** Which addresses the world can reach: RFC 6890, RFC 1918, RFC 6598. */
import { BlockList, isIP, isIPv4 } from 'node:net';
import { networkInterfaces } from 'node:os';

const RESERVED = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.168.0.0/16',
  '224.0.0.0/3',
  '::/96',
  'fc00::/7',
  'fe80::/9',
  'ff00::/8',
];

/** @param networks in CIDR, or addresses. */
export function createNetworks(networks: readonly string[]): (address: string) => boolean {
  // Two lists: in one, an IPv4-mapped network would contain every IPv4 address.
  const lists = { ipv4: new BlockList(), ipv6: new BlockList() };
  for (const network of networks) {
    const [address = '', prefix] = network.split('/');
    const family = familyOf(address);
    lists[family].addSubnet(address, prefix === undefined ? (family === 'ipv4' ? 32 : 128) : Number(prefix), family);
  }
  return (address) => isIP(address) !== 0 && lists[familyOf(address)].check(address, familyOf(address));
}

const isReserved = createNetworks(RESERVED);

export function isPublicAddress(address: string): boolean {
  return isIP(address) !== 0 && !isReserved(address);
}

/** Addresses of this machine that the world can reach; behind a NAT there is none. */
export function publicAddresses(interfaces = networkInterfaces()): readonly string[] {
  const all = Object.values(interfaces).flatMap((list) => list ?? []);
  return [...new Set(all.filter(({ internal, address }) => !internal && isPublicAddress(address)).map(({ address }) => address))];
}

/** The shortest way to write an IPv6 address: RFC 5952. */
export function canonicalAddress(address: string): string {
  return isIP(address) === 6 && !address.includes('%') ? new URL(`http://[${address}]`).hostname.slice(1, -1) : address;
}

function familyOf(address: string): 'ipv4' | 'ipv6' {
  return isIPv4(address) ? 'ipv4' : 'ipv6';
}
