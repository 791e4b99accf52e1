/** Networks in CIDR notation, and whether they contain an address. */
import { BlockList, isIP, isIPv4 } from 'node:net';

type Networks = { has(address: string): boolean };

/** @param networks addresses and CIDR networks; the configuration has checked them. @throws Error if an entry is neither. */
export function createNetworks(networks: readonly string[]): Networks {
  // Two lists: in one, `::ffff:0:0/96` would contain every IPv4 address.
  const lists = { ipv4: new BlockList(), ipv6: new BlockList() };
  for (const network of networks) {
    const [address = '', prefix] = network.split('/');
    if (isIP(address) === 0) throw new Error(`${network} is no address and no network`);
    const family = familyOf(address);
    lists[family].addSubnet(address, prefix === undefined ? (family === 'ipv4' ? 32 : 128) : Number(prefix), family);
  }
  if (networks.length === 0) return { has: () => false };
  return { has: (address) => isIP(address) !== 0 && lists[familyOf(address)].check(address, familyOf(address)) };
}

function familyOf(address: string): 'ipv4' | 'ipv6' {
  return isIPv4(address) ? 'ipv4' : 'ipv6';
}
