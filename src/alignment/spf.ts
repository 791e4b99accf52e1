/** SPF of a domain for each address that mail is sent from: RFC 7208. mailauth evaluates it, with our look-ups. */
import type { Dns, DnsAnswer } from '../dns/dns.ts';
import { canonicalAddress } from '../net/addresses.ts';
import { inEnglish } from '../system/phrase.ts';
import type { Passes } from './verdict.ts';

export type SpfResult = 'pass' | 'fail' | 'softfail' | 'neutral' | 'none' | 'temperror' | 'permerror';

export type SpfFacts = {
  readonly domain: string;
  readonly hostname: string;
  readonly txt: DnsAnswer<string>;
  /** The result for each of our addresses. */
  readonly evaluated: readonly { readonly address: string; readonly result: SpfResult; readonly comment: string }[];
};

type SpfQuestion = {
  readonly domain: string;
  readonly hostname: string;
  readonly addresses: readonly string[];
  readonly dns: Dns;
  /** Milliseconds. */
  readonly timeout: number;
};

export async function gatherSpf({ domain, hostname, addresses, dns, timeout }: SpfQuestion): Promise<SpfFacts> {
  const { spf } = await import('mailauth/lib/spf/index.js'); // loaded late: most relays have a key for each domain, and then no verdict depends on SPF
  const resolver = resolverOf(dns);
  const evaluated = addresses.map(async (address) => {
    const { status } = await spf({
      sender: `postmaster@${domain}`,
      ip: address,
      helo: hostname,
      mta: hostname,
      strict: true,
      maxElapsedTime: timeout,
      resolver: resolver as never,
    });
    return { address, result: status.result as SpfResult, comment: typeof status.comment === 'string' ? status.comment : '' };
  });
  return { domain, hostname, txt: await dns.txt(domain), evaluated: await Promise.all(evaluated) };
}

/** For each address. All others than `pass` are no pass for DMARC, `softfail` included. */
export function spfPasses({ evaluated }: SpfFacts): readonly Passes[] {
  return evaluated.map(({ result }) => (result === 'pass' ? 'pass' : result === 'temperror' ? 'unknown' : 'fail'));
}

export function isSpf(text: string): boolean {
  return /^v=spf1( |$)/i.test(text);
}

/** The record to publish: the existing one with our name before its end, else the shortest one. */
export function wantedSpf(
  record: string | undefined,
  { domain, hostname }: { readonly domain: string; readonly hostname: string },
): string {
  if (domain === hostname) return 'v=spf1 a -all';
  if (record === undefined) return `v=spf1 a:${hostname} ~all`;
  const mechanism = `a:${hostname}`;
  const terms = record.trim().split(/ +/);
  if (terms.some((term) => term.replace(/^\+/, '').toLowerCase() === mechanism)) return record;
  // Terms after `all` are never reached, and a redirect counts only if nothing before it matched.
  const end = terms.findIndex((term) => /^([-~?+]?all$|redirect=)/i.test(term));
  return (end < 0 ? [...terms, mechanism] : [...terms.slice(0, end), mechanism, ...terms.slice(end)]).join(' ');
}

type Resolve = (name: string, type: string) => Promise<readonly unknown[]>;

/** Our look-ups in the form that mailauth wants, with the errors of `node:dns`. */
function resolverOf(dns: Dns): Resolve {
  return async (name, type) => {
    switch (type) {
      case 'TXT':
        return ofAnswer(await dns.txt(name)).map((text) => [text]);
      case 'MX':
        return ofAnswer(await dns.mx(name)).map(({ preference, exchange }) => ({ priority: preference, exchange }));
      case 'A':
        return ofAnswer(await dns.a(name));
      case 'AAAA':
        return ofAnswer(await dns.aaaa(name));
      case 'PTR':
        return ofAnswer(await dns.ptr(addressOf(name)));
      default:
        throw Object.assign(new Error(`no look-ups of ${type}`), { code: 'ENODATA' });
    }
  };
}

function ofAnswer<T>(answer: DnsAnswer<T>): readonly T[] {
  if (answer.kind === 'found') return answer.values;
  const code = answer.kind === 'temporary' ? inEnglish(answer.why) : answer.kind === 'none' ? 'ENODATA' : 'ENOTFOUND';
  throw Object.assign(new Error(code), { code });
}

/** @returns the address of a reverse name below `arpa`. */
function addressOf(name: string): string {
  const labels = name
    .toLowerCase()
    .replace(/\.(in-addr|ip6)\.arpa\.?$/, '')
    .split('.')
    .reverse();
  if (labels.length === 4) return labels.join('.');
  return canonicalAddress((labels.join('').match(/.{4}/g) ?? []).join(':'));
}
