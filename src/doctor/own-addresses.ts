/** Finds the addresses that our mail is sent from, as far as this machine can know. */
import { isIPv4 } from 'node:net';
import type { DnsAnswer } from '../dns/dns.ts';
import { canonicalAddress, isPublicAddress } from '../net/addresses.ts';
import { createNetworks } from '../net/networks.ts';
import type { IpPolicy } from '../smtp/route.ts';

export type AddressFacts = {
  /** The setting `delivery.source`. */
  readonly source: readonly string[];
  readonly ip: IpPolicy;
  readonly allowPrivate: readonly string[];
  /** Public addresses of this machine's interfaces. */
  readonly machine: readonly string[];
  /** Our addresses as destinations have named them. */
  readonly seenAs: readonly string[];
  /** Records of the host name. */
  readonly a: DnsAnswer<string>;
  readonly aaaa: DnsAnswer<string>;
};

export type OwnAddresses = {
  readonly addresses: readonly string[];
  /** True if the addresses come from the DNS only, because this machine is behind a NAT. */
  readonly assumed: boolean;
};

/** The configured addresses, else those of the machine and those that destinations saw, else those in the DNS of the host name. */
export function ownAddresses(facts: AddressFacts): OwnAddresses {
  const { source, machine, seenAs, a, aaaa } = facts;
  const wanted = (addresses: readonly string[]) => [...new Set(addresses.map(canonicalAddress))].filter(usedBy(facts.ip));
  if (source.length > 0) return { addresses: wanted(source), assumed: false };
  const known = wanted([...machine, ...seenAs]);
  if (known.length > 0) return { addresses: known, assumed: false };
  return { addresses: wanted([...valuesOf(a), ...valuesOf(aaaa)]), assumed: true };
}

/** True for an address that is not public, unless the operator allows it. */
export function isUnreachable({ allowPrivate }: Pick<AddressFacts, 'allowPrivate'>, address: string): boolean {
  return !isPublicAddress(address) && !createNetworks(allowPrivate).has(address);
}

export function valuesOf<T>(answer: DnsAnswer<T>): readonly T[] {
  return answer.kind === 'found' ? answer.values : [];
}

function usedBy(policy: IpPolicy): (address: string) => boolean {
  if (policy === 'v4-only') return (address) => isIPv4(address);
  return policy === 'v6-only' ? (address) => !isIPv4(address) : () => true;
}
