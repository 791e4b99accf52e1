/** The records of the small DNS, and how a question is answered from them: RFC 1034 §4.3.2. */
import { isIP } from 'node:net';
import type { Answer, RecordType } from 'dns-packet';
import { reverseName } from '../../src/net/addresses.ts';

/** servfail and refused: this code; timeout: no answer; truncated: cut over UDP, complete over TCP; cut: cut over UDP, and TCP is closed; garbage: no DNS message. */
export type Fault = 'servfail' | 'refused' | 'timeout' | 'truncated' | 'cut' | 'garbage' | 'wrong-id';

export type ZoneRecords = {
  readonly A?: readonly string[];
  readonly AAAA?: readonly string[];
  /** `10 mx.example.org`; a null MX is `0 .`. */
  readonly MX?: readonly string[];
  /** One entry a record; a list of strings is one record of several. */
  readonly TXT?: readonly (string | readonly string[])[];
  readonly PTR?: readonly string[];
  /** `3 1 1 0123…`, the data in hexadecimal digits. */
  readonly TLSA?: readonly string[];
  readonly CNAME?: string;
  readonly NS?: readonly string[];
  readonly SOA?: { readonly mname: string; readonly rname: string };
  /** For every type, or by type. */
  readonly fault?: Fault | { readonly [type: string]: Fault };
  /** The answer says that it was validated: the AD bit of RFC 4035 §3.2.3. */
  readonly secure?: boolean;
  /** Seconds; default 60. */
  readonly ttl?: number;
};
export type Zone = { readonly [name: string]: ZoneRecords };
export type Records = ReadonlyMap<string, ZoneRecords>;

const NXDOMAIN = 3;
const SERVFAIL = 2;
/** As a resolver follows them. */
const MAX_CNAMES = 16;

export function faultFor(records: Records, name: string, type: string): Fault | undefined {
  const fault = entryOf(records, name.toLowerCase())?.fault;
  return typeof fault === 'object' ? fault[type] : fault;
}

export function isSecure(records: Records, name: string): boolean {
  return entryOf(records, name.toLowerCase())?.secure === true;
}

/** Follows aliases as a resolver would, so that the client sees a whole chain; a loop is SERVFAIL. */
export function answerFrom(records: Records, asked: string, type: RecordType): { answers: Answer[]; rcode: number } {
  const answers: Answer[] = [];
  let name = asked.toLowerCase();
  for (let i = 0; i <= MAX_CNAMES; i++) {
    const entry = entryOf(records, name);
    if (entry === undefined) return { answers, rcode: isParent(records, name) ? 0 : NXDOMAIN };
    const ttl = entry.ttl ?? 60;
    if (entry.CNAME === undefined || type === 'CNAME')
      return { answers: [...answers, ...recordsOf(entry, name, type, ttl)], rcode: 0 };
    answers.push({ type: 'CNAME', name, ttl, data: entry.CNAME });
    name = entry.CNAME.toLowerCase();
  }
  return { answers: [], rcode: SERVFAIL };
}

function recordsOf(entry: ZoneRecords, name: string, type: RecordType, ttl: number): Answer[] {
  switch (type) {
    case 'A':
    case 'AAAA':
    case 'PTR':
    case 'NS':
      return (entry[type] ?? []).map((data) => ({ type, name, ttl, data }));
    case 'CNAME':
      return entry.CNAME === undefined ? [] : [{ type, name, ttl, data: entry.CNAME }];
    case 'MX':
      return (entry.MX ?? []).map((text) => ({ type, name, ttl, data: mx(text) }));
    case 'TXT':
      return (entry.TXT ?? []).map((data) => ({ type, name, ttl, data: strings(data) }));
    case 'TLSA':
      return (entry.TLSA ?? []).map((text) => ({ type, name, ttl, data: tlsa(text) }));
    case 'SOA':
      return entry.SOA === undefined ? [] : [{ type, name, ttl, data: { ...entry.SOA, serial: 1 } }];
    default:
      return [];
  }
}

/** The entry of a name, of the address that it reverses, or of the wildcard one level up. */
function entryOf(records: Records, name: string): ZoneRecords | undefined {
  const own = records.get(name === '.' ? '' : name);
  if (own !== undefined) return own;
  if (name.endsWith('.arpa')) {
    for (const [key, entry] of records) if (isIP(key) !== 0 && reverseName(key) === name) return entry;
  }
  return records.get(`*${name.slice(name.indexOf('.'))}`);
}

function isParent(records: Records, name: string): boolean {
  for (const key of records.keys()) if (key.endsWith(`.${name}`)) return true;
  return false;
}

function mx(text: string): { preference: number; exchange: string } {
  const [preference = '', exchange = ''] = text.split(' ');
  return { preference: Number(preference), exchange };
}

function tlsa(text: string): Extract<Answer, { type: 'TLSA' }>['data'] {
  const [usage, selector, matchingType, data = ''] = text.split(' ');
  const numbers = { usage: Number(usage), selector: Number(selector), matchingType: Number(matchingType) };
  return { ...numbers, certificate: Buffer.from(data, 'hex') };
}

/** A string of a TXT record holds 255 octets: RFC 1035 §3.3.14. */
function strings(data: string | readonly string[]): string[] {
  return typeof data === 'string' ? (data.match(/.{1,255}/gs) ?? ['']) : [...data];
}
