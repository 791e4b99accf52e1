/** What the DNS says about one MX host: are there TLSA records that count, and under which name? RFC 7672 §2.2. */
import type { DnsClient } from '../dns/dns.ts';
import { countingRecords, hashOf, type TlsaRecord } from './tlsa.ts';

/** TLSA records that count, and what certificates are held to by them. */
export type DaneRecords = {
  /** The name that the records stand at: SNI, and the first name that a certificate may bear. RFC 7672 §3.2.2, §8.1 */
  readonly base: string;
  readonly records: readonly TlsaRecord[];
  /** Names the records. */
  readonly hash: string;
};

export type DaneFinding =
  /** Nothing that is proven: the host is met as if there were no DANE. */
  | { readonly kind: 'none'; readonly why: 'off' | 'insecure' | 'absent' }
  /** Proven records, and none that can be used: TLS, whoever the host is. RFC 7672 §2.2 */
  | { readonly kind: 'unusable'; readonly base: string; readonly records: readonly TlsaRecord[] }
  | ({ readonly kind: 'records' } & DaneRecords)
  /** Nobody could say, so the host is left alone: RFC 7672 §2.1.2. */
  | { readonly kind: 'failed'; readonly name: string; readonly cause: string };

type DaneHost = {
  /** As the MX record has it, lower case. */
  readonly name: string;
  readonly port: number;
  /** The address that is going to be connected to was proven, aliases included. */
  readonly secure: boolean;
  /** The name behind all aliases of `name`. */
  readonly expanded: string;
};

type Lookups = Pick<DnsClient, 'tlsa' | 'cname'>;

export const NO_DANE: DaneFinding = { kind: 'none', why: 'off' };
const INSECURE: DaneFinding = { kind: 'none', why: 'insecure' };
const ABSENT: DaneFinding = { kind: 'none', why: 'absent' };

/** TLSA records are asked for only where addresses are proven: many zones without signatures answer SERVFAIL. RFC 7672 §2.2.2 */
export function mayHaveDane({ name, secure, expanded }: Pick<DaneHost, 'name' | 'secure' | 'expanded'>): boolean {
  return secure || expanded !== name;
}

/**
 * Never rejects. @param afresh what is kept of the records is not believed.
 */
export async function findDane(dns: Lookups, host: DaneHost, afresh = false): Promise<DaneFinding> {
  const bases = await basesOf(dns, host);
  if ('kind' in bases) return bases;
  for (const base of bases) {
    const name = `_${host.port}._tcp.${base}`;
    const answer = await dns.tlsa(name, afresh);
    if (answer.kind === 'temporary') return { kind: 'failed', name, cause: answer.cause };
    // What is not proven may be anybody's, so it is as if it were not there.
    if (answer.kind === 'found' && answer.secure) return judge(base, answer.values);
  }
  return ABSENT;
}

/** The name behind the aliases first, then the MX host's own; names in the middle never. RFC 7672 §2.2.2, §2.2.3 */
async function basesOf(dns: Lookups, { name, secure, expanded }: DaneHost): Promise<readonly string[] | DaneFinding> {
  if (secure) return expanded === name ? [name] : [expanded, name];
  if (expanded === name) return INSECURE;
  // The answer about the addresses is proven as a whole or not at all, though its first step may be.
  const alias = await dns.cname(name);
  if (alias.kind === 'temporary') return { kind: 'failed', name, cause: alias.cause };
  return alias.kind === 'found' && alias.secure ? [name] : INSECURE;
}

function judge(base: string, found: readonly TlsaRecord[]): DaneFinding {
  const records = countingRecords(found);
  return records.length === 0
    ? { kind: 'unusable', base, records: found }
    : { kind: 'records', base, records, hash: hashOf(records) };
}
