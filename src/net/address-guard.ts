/**
 * Addresses that no record of a stranger may send us to: ourselves, loopback, private, link-local, reserved. RFC 6890, RFC 1918, RFC 6598.
 * Checked on the address that is connected to, so it does not matter by what name or detour it was found.
 */
import { isIP } from 'node:net';
import { embeddedIpv4, reachOf } from './addresses.ts';
import { createNetworks } from './networks.ts';

/**
 * self: the mail would come back; reserved: no mail host has such an address, whoever looks; private: a door into a network that the
 * sender has no business in, or the operator's own network, which `allowPrivate` may yet name.
 */
export type Refused = 'self' | 'private' | 'reserved' | undefined;
export type AddressGuard = (address: string) => Refused;

/** @param allowPrivate networks in CIDR, or addresses, that the operator allows; also where they are our own. */
export function createAddressGuard(allowPrivate: readonly string[], ownAddresses: () => readonly string[]): AddressGuard {
  const allowed = createNetworks(allowPrivate);
  return (address) => {
    if (isIP(address) === 0) return 'reserved';
    if (allowed.has(address)) return undefined;
    const inner = embeddedIpv4(address);
    const own = ownAddresses();
    if (own.includes(address) || (inner !== undefined && own.includes(inner))) return 'self';
    const reach = reachOf(address);
    return reach === 'public' ? undefined : reach;
  };
}
