/** What one message of the DNS says about the name that was asked for: RFC 1034 §3.6.2, RFC 2308. Pure functions. */
import { HOUR, SECOND } from '../system/clock.ts';
import { type Phrase, phrase } from '../system/phrase.ts';
import type { MxRecord, Resolved, TlsaRecord } from './dns.ts';
import {
  type DnsMessage,
  type QueryType,
  type ReadData,
  type ResourceRecord,
  readHost,
  readNegativeTtl,
  TYPES,
} from './message.ts';

const MIN_TTL = 5 * SECOND;
/** Nothing is kept for longer. */
const MAX_TTL = HOUR;
/** Used if a negative answer has no SOA record, which RFC 2308 §5 takes the TTL from. */
export const NEGATIVE_TTL = 30 * SECOND;
/** Aliases in a chain. More count as a loop. */
const MAX_ALIASES = 8;
const NXDOMAIN = 3;

type Answered<T> = {
  readonly message: DnsMessage;
  readonly type: QueryType;
  /** Lower case, without a final dot. */
  readonly name: string;
  readonly read: ReadData<T>;
  /** True if the server's AD bit counts. */
  readonly trusted: boolean;
};

/** Reads the answer of one message for the asked name, after its aliases: RFC 1034 §3.6.2. Never throws. */
export function interpret<T>({ message, type, name, read, trusted }: Answered<T>): Resolved<T> {
  const secure = trusted && message.isAuthentic;
  const chain = type === 'CNAME' ? { name, ttl: MAX_TTL } : followAliases(message, name);
  if ('why' in chain) return { kind: 'temporary', why: chain.why };
  const records = message.answers.filter((record) => record.type === TYPES[type] && canonical(record.name) === chain.name);
  const values = records.flatMap((record) => readSafely(read, message, record) ?? []);
  if (records.length > 0) {
    // A broken record is left out, as Postfix does. If all are broken, the look-up has failed.
    if (values.length === 0) return { kind: 'temporary', why: phrase`the ${type} records of ${chain.name} cannot be read` };
    return { kind: 'found', values, name: chain.name, secure, trusted, ttl: clamp(leastTtl(records, chain.ttl), type) };
  }
  const ttl = Math.min(chain.ttl, negativeTtl(message));
  return { kind: message.rcode === NXDOMAIN ? 'nxdomain' : 'none', name: chain.name, secure, trusted, ttl };
}

/** @returns the name at the end, and the least TTL in milliseconds; or why there is no end. */
function followAliases(message: DnsMessage, asked: string): { name: string; ttl: number } | { why: Phrase } {
  let name = asked;
  let ttl = MAX_TTL;
  for (let i = 0; i <= MAX_ALIASES; i++) {
    const alias = message.answers.find((record) => record.type === TYPES.CNAME && canonical(record.name) === name);
    if (alias === undefined) return { name, ttl };
    const target = readSafely(readCanonicalHost, message, alias);
    if (target === undefined) return { why: phrase`the alias of ${name} cannot be read` };
    name = target;
    ttl = leastTtl([alias], ttl);
  }
  return { why: phrase`aliases of ${asked} run in a circle` };
}

function readSafely<T>(read: ReadData<T>, { bytes }: DnsMessage, { start, end }: ResourceRecord): T | undefined {
  try {
    return read(bytes, start, end);
  } catch (error) {
    if (error instanceof RangeError) return undefined; // a name in it points outside of the message
    throw error;
  }
}

function leastTtl(records: readonly ResourceRecord[], most: number): number {
  return records.reduce((least, { ttl }) => Math.min(least, ttl * SECOND), most);
}

/** Limits TTLs such as 0 or 68 years: RFC 2181 §8. TLSA records are never kept longer than their TTL: RFC 7672 §4. */
function clamp(ttl: number, type: QueryType): number {
  return type === 'TLSA' ? ttl : Math.min(Math.max(ttl, MIN_TTL), MAX_TTL);
}

function negativeTtl(message: DnsMessage): number {
  const soa = message.authorities.find(({ type }) => type === TYPES.SOA);
  if (soa === undefined) return NEGATIVE_TTL;
  const minimum = readSafely(readNegativeTtl, message, soa);
  return Math.min(Math.max(Math.min(soa.ttl, minimum ?? soa.ttl) * SECOND, MIN_TTL), MAX_TTL);
}

export const readMx: ReadData<MxRecord> = (bytes, start, end) => {
  const exchange = end - start > 2 ? readCanonicalHost(bytes, start + 2, end) : undefined;
  return exchange === undefined ? undefined : { preference: bytes.readUInt16BE(start), exchange };
};

export const readCanonicalHost: ReadData<string> = (bytes, start, end) => {
  const name = readHost(bytes, start, end);
  return name === undefined ? undefined : canonical(name);
};

/** Unusable records are not left out: if there are no others, TLS is still demanded, RFC 7672 §2.2. */
export const readTlsa: ReadData<TlsaRecord> = (bytes, start, end) => {
  if (end - start < 4) return { usage: 255, selector: 255, matching: 255, data: Buffer.from(bytes.subarray(start, end)) };
  const [usage, selector, matching] = [bytes[start]!, bytes[start + 1]!, bytes[start + 2]!];
  return { usage, selector, matching, data: Buffer.from(bytes.subarray(start + 3, end)) };
};

export function canonical(name: string): string {
  return (name.endsWith('.') ? name.slice(0, -1) : name).toLowerCase();
}
