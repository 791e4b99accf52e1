/** DANE for one MX host: finds its usable TLSA records, and the name that they stand at. RFC 7672 §2.2. */
import type { DnsClient } from '../dns/dns.ts';
import type { Phrase } from '../system/phrase.ts';
import { countingRecords, hashOf, type TlsaRecord } from './tlsa.ts';

/** Usable TLSA records of one name. */
export type DaneRecords = {
  /** The name of the records. It is also the SNI, and the first valid name in a certificate: RFC 7672 §3.2.2, §8.1. */
  readonly base: string;
  readonly records: readonly TlsaRecord[];
  /** Identifies the set of records. */
  readonly hash: string;
};

export type DaneFinding =
  /** There are no validated records. The host is treated as if DANE did not exist. */
  | { readonly kind: 'none'; readonly why: 'off' | 'insecure' | 'absent' }
  /** There are validated records, but none is usable: TLS is required, with any certificate. RFC 7672 §2.2 */
  | { readonly kind: 'unusable'; readonly base: string; readonly records: readonly TlsaRecord[] }
  | ({ readonly kind: 'records' } & DaneRecords)
  /** The look-up failed, so the host is skipped: RFC 7672 §2.1.2. */
  | { readonly kind: 'failed'; readonly name: string; readonly why: Phrase };

type DaneHost = {
  /** The name in the MX record, in lower case. */
  readonly name: string;
  readonly port: number;
  /** The address to connect to is validated, with all aliases. */
  readonly secure: boolean;
  /** The name behind all aliases of `name`. */
  readonly expanded: string;
};

type Lookups = Pick<DnsClient, 'tlsa' | 'cname'>;

export const NO_DANE: DaneFinding = { kind: 'none', why: 'off' };
const INSECURE: DaneFinding = { kind: 'none', why: 'insecure' };
const ABSENT: DaneFinding = { kind: 'none', why: 'absent' };

/** TLSA is looked up only if the address is validated, because many unsigned zones answer SERVFAIL. RFC 7672 §2.2.2 */
export function mayHaveDane(name: string, { secure, expanded }: Pick<DaneHost, 'secure' | 'expanded'>): boolean {
  return secure || expanded !== name;
}

/** Never rejects. @param afresh ignores cached records. */
export async function findDane(dns: Lookups, host: DaneHost, afresh = false): Promise<DaneFinding> {
  const bases = await basesOf(dns, host);
  if ('kind' in bases) return bases;
  for (const base of bases) {
    const name = `_${host.port}._tcp.${base}`;
    const answer = await dns.tlsa(name, afresh);
    if (answer.kind === 'temporary') return { kind: 'failed', name, why: answer.why };
    // Records that are not validated may come from anyone, so they are ignored.
    if (answer.kind === 'found' && answer.secure) return judge(base, answer.values);
  }
  return ABSENT;
}

/** First the name behind all aliases, then the name of the MX host. Names between them do not count. RFC 7672 §2.2.2, §2.2.3 */
async function basesOf(dns: Lookups, { name, secure, expanded }: DaneHost): Promise<readonly string[] | DaneFinding> {
  if (secure) return expanded === name ? [name] : [expanded, name];
  if (expanded === name) return INSECURE;
  // An answer is validated only as a whole. The first alias may be validated although the address is not.
  const alias = await dns.cname(name);
  if (alias.kind === 'temporary') return { kind: 'failed', name, why: alias.why };
  return alias.kind === 'found' && alias.secure ? [name] : INSECURE;
}

function judge(base: string, found: readonly TlsaRecord[]): DaneFinding {
  const records = countingRecords(found);
  return records.length === 0
    ? { kind: 'unusable', base, records: found }
    : { kind: 'records', base, records, hash: hashOf(records) };
}
