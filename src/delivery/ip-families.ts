/** IPv4 or IPv6, and from which local address: behaviour rule 16, and what the big receivers ask of IPv6 senders. */

import { isIP, isIPv4, isIPv6 } from 'node:net';
import type { Dns, DnsAnswer } from '../dns/dns.ts';
import { canonicalAddress, machineAddresses } from '../net/addresses.ts';
import type { IpPolicy } from '../smtp/route.ts';
import { type Clock, HOUR, MINUTE } from '../system/clock.ts';

export type Family = 4 | 6;

export type IpFamilies = {
  /** Families to use, the preferred first. */
  order(policy: IpPolicy): readonly Family[] | Promise<readonly Family[]>;
  /** The local address to send from; undefined: the system chooses. */
  source(family: Family): string | undefined;
  /** All of them, the preferred first. Never empty. */
  sources(family: Family): readonly (string | undefined)[];
};

type IpFamiliesOptions = {
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

/** The system chooses. */
const SYSTEM: readonly undefined[] = [undefined];

/** What the DNS says of our addresses. `unknown`: it could not be asked, so what was known before stays. */
type Standing = 'confirmed' | 'unconfirmed' | 'unknown';

/** What is known may change: a PTR record is set late, and a confirmed one seldom goes. */
const ASK_AGAIN: { readonly [standing in Standing]: number } = { confirmed: HOUR, unconfirmed: 5 * MINUTE, unknown: MINUTE };

export function createIpFamilies({ dns, hostname, source, now }: IpFamiliesOptions): IpFamilies {
  const v4 = source.filter(isIPv4);
  const v6 = source.filter(isIPv6);
  /** Undefined: the DNS has never answered. */
  let confirmed: boolean | undefined;
  let asked = false;
  let askAgainAt = 0;
  let asking: Promise<void> | undefined;

  /** Never rejects. */
  async function ask(): Promise<void> {
    const addresses = v6.length === 0 ? globalAddresses() : v6;
    const standing = addresses && together(await Promise.all(addresses.map((address) => standingOf(dns, hostname, address))));
    if (standing === 'confirmed' || standing === 'unconfirmed') confirmed = standing === 'confirmed';
    askAgainAt = now() + ASK_AGAIN[standing ?? 'unknown'];
    asked = true;
    asking = undefined;
  }

  const known = () => (confirmed === true ? ORDER['v6-first'] : ORDER['v4-only']);
  /** A time that lies farther ahead was noted by a clock that has been set back. */
  const isDue = () => now() >= askAgainAt || askAgainAt > now() + HOUR;

  return {
    order(policy) {
      if (policy !== 'auto') return ORDER[policy];
      if (isDue()) asking ??= ask();
      // Mail waits for the first answer only; a later one takes effect when it comes.
      return asking === undefined || asked ? known() : asking.then(known);
    },
    source: (family) => (family === 4 ? v4 : v6)[0],
    sources: (family) => {
      const own = family === 4 ? v4 : v6;
      return own.length === 0 ? SYSTEM : own;
    },
  };
}

/** IPv6 is used where all addresses that the system may send from are confirmed. */
function together(standings: readonly Standing[]): Standing {
  if (standings.length === 0 || standings.includes('unconfirmed')) return 'unconfirmed';
  return standings.includes('unknown') ? 'unknown' : 'confirmed';
}

/** Confirmed: the address has a PTR that is our host name, and our host name has the address (forward-confirmed). */
async function standingOf(dns: Dns, hostname: string, address: string): Promise<Standing> {
  const [names, back] = await Promise.all([dns.ptr(address), dns.aaaa(hostname)]);
  const named = holds(names, (name) => name === hostname.toLowerCase());
  const found = holds(back, (value) => same(value, address));
  if (named === false || found === false) return 'unconfirmed';
  return named === undefined || found === undefined ? 'unknown' : 'confirmed';
}

/** Undefined: the DNS could not be asked. */
function holds(answer: DnsAnswer<string>, is: (value: string) => boolean): boolean | undefined {
  if (answer.kind === 'temporary') return undefined;
  return answer.kind === 'found' && answer.values.some(is);
}

/** Mail may leave by this address. Without a configured one of its family, the system chooses. */
export function isSourceOf(sources: readonly string[], family: Family, source: string | undefined): boolean {
  const same = sources.filter((one) => isIP(one) === family);
  return same.length === 0 ? source === undefined : source !== undefined && same.includes(source);
}

/** Without a configured source the system may choose any of these. Undefined: the system could not be asked. */
function globalAddresses(): readonly string[] | undefined {
  try {
    return machineAddresses().filter((address) => isIPv6(address) && /^[23]/.test(address));
  } catch {
    return undefined; // no file descriptor or memory for it now
  }
}

function same(a: string, b: string): boolean {
  return canonicalAddress(a) === canonicalAddress(b);
}
