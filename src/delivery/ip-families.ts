/** IPv4 or IPv6, and from which local address: behaviour rule 16, and what the big receivers ask of IPv6 senders. */

import { isIPv4, isIPv6 } from 'node:net';
import { networkInterfaces } from 'node:os';
import type { Dns } from '../dns/dns.ts';
import { type Clock, HOUR, MINUTE } from '../system/clock.ts';
import type { IpPolicy } from './options.ts';

export type Family = 4 | 6;

export type IpFamilies = {
  /** Families to use, the preferred first. */
  order(policy: IpPolicy): readonly Family[] | Promise<readonly Family[]>;
  /** The local address to send from; undefined: the system chooses. */
  source(family: Family): string | undefined;
};

export type IpFamiliesOptions = {
  readonly dns: Dns;
  readonly hostname: string;
  /** Configured local addresses. */
  readonly source: readonly string[];
  readonly now: Clock;
};

const ORDER: { readonly [policy in Exclude<IpPolicy, 'auto'>]: readonly Family[] } = {
  'v4-only': [4],
  'v6-only': [6],
  'v4-first': [4, 6],
  'v6-first': [6, 4],
};

export function createIpFamilies({ dns, hostname, source, now }: IpFamiliesOptions): IpFamilies {
  const v4 = source.find(isIPv4);
  const v6 = source.find(isIPv6);
  let confirmed: boolean | undefined;
  let askAgainAt = 0;

  async function ask(): Promise<readonly Family[]> {
    const addresses = v6 === undefined ? globalAddresses() : [v6];
    const answers = await Promise.all(addresses.map((address) => isConfirmed(dns, hostname, address)));
    confirmed = answers.length > 0 && answers.every((answer) => answer);
    askAgainAt = now() + (confirmed ? HOUR : 5 * MINUTE);
    return confirmed ? ORDER['v6-first'] : ORDER['v4-only'];
  }

  return {
    order(policy) {
      if (policy !== 'auto') return ORDER[policy];
      if (confirmed === undefined || now() >= askAgainAt) return ask();
      return confirmed ? ORDER['v6-first'] : ORDER['v4-only'];
    },
    source: (family) => (family === 4 ? v4 : v6),
  };
}

/** The address has a PTR that is our host name, and our host name has the address: forward-confirmed. */
async function isConfirmed(dns: Dns, hostname: string, address: string): Promise<boolean> {
  const [names, back] = await Promise.all([dns.ptr(address), dns.aaaa(hostname)]);
  if (names.kind !== 'found' || back.kind !== 'found') return false;
  return names.values.includes(hostname.toLowerCase()) && back.values.some((value) => same(value, address));
}

/** Without a configured source the system may choose any of these. */
function globalAddresses(): readonly string[] {
  return Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter(({ internal, family, address }) => !internal && family === 'IPv6' && /^[23]/.test(address))
    .map(({ address }) => address);
}

function same(a: string, b: string): boolean {
  return new URL(`http://[${a}]`).hostname === new URL(`http://[${b}]`).hostname;
}
