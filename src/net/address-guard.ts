/**
 * Addresses that we must not connect to because a foreign DNS record names them: our own, loopback, private, link-local, reserved. RFC 6890,
 * RFC 1918, RFC 6598. The check uses the address of the connection, so it does not matter by which name it was found.
 */
import { isIP } from 'node:net';
import { embeddedIpv4, reachOf } from './addresses.ts';
import { createNetworks } from './networks.ts';

/**
 * self: the mail would come back. reserved: no mail host can have such an address. private: a network that the sender must not reach, or
 * the operator's own network, which `allowPrivate` can allow.
 */
export type Refused = 'self' | 'private' | 'reserved' | undefined;
export type AddressGuard = (address: string) => Refused;

/** @param allowPrivate networks in CIDR, or addresses, that the operator allows, even if they are our own. */
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
