/** Compares the records that a new relay needs with those that the DNS has now. RFC 7208 §3.2, RFC 6376 §3.6.1, RFC 7489 §6.1. */
import { isDmarc, isSpf } from '../alignment/alignment.ts';
import { type Dns, type DnsAnswer, presentText } from '../dns/dns.ts';
import { canonicalAddress } from '../net/addresses.ts';
import type { NeededRecord, RecordGroup } from './records.ts';

/** `other`: there is one with another value. `unknown`: the DNS gave no answer. */
type RecordState = 'ok' | 'missing' | 'other' | 'unknown';
type CheckedRecord = NeededRecord & { readonly state: RecordState; readonly found: readonly string[] };
export type CheckedGroup = { readonly comment: string; readonly records: readonly CheckedRecord[] };

/** @param dns with an empty cache, so that a change is seen at once. @param addressOf the address of a reverse name. */
export function checkRecordGroups(
  groups: readonly RecordGroup[],
  dns: Dns,
  addressOf: ReadonlyMap<string, string>,
): Promise<readonly CheckedGroup[]> {
  return Promise.all(
    groups.map(async ({ comment, records }) => ({
      comment,
      records: await Promise.all(records.map((record) => checkRecord(record, dns, addressOf.get(record.name)))),
    })),
  );
}

async function checkRecord(record: NeededRecord, dns: Dns, address: string | undefined): Promise<CheckedRecord> {
  const answer = await ask(record, dns, address);
  if (answer.kind === 'temporary') return { ...record, state: 'unknown', found: [] };
  const found = (answer.kind === 'found' ? answer.values : []).filter((value) => isOfKind(record, value));
  const isThere = found.some((value) => isSame(record, value));
  const shown = record.type === 'TXT' ? found.map(presentText) : found;
  return { ...record, state: isThere ? 'ok' : found.length === 0 ? 'missing' : 'other', found: shown };
}

function ask({ name, type }: NeededRecord, dns: Dns, address = ''): Promise<DnsAnswer<string>> {
  if (type === 'A') return dns.a(name);
  if (type === 'AAAA') return dns.aaaa(name);
  return type === 'PTR' ? dns.ptr(address) : dns.txt(name);
}

/** A name may have TXT records for other purposes. */
function isOfKind({ type, value }: NeededRecord, found: string): boolean {
  if (type !== 'TXT') return true;
  return isSpf(value) ? isSpf(found) : isDmarc(value) ? isDmarc(found) : true;
}

/** Any DMARC record counts: the one that we propose is only a beginning. */
function isSame({ type, value }: NeededRecord, found: string): boolean {
  if (type === 'A' || type === 'AAAA') return canonicalAddress(found) === canonicalAddress(value);
  if (type === 'PTR') return withoutDot(found) === withoutDot(value);
  return isDmarc(value) || withoutBlanks(found) === withoutBlanks(value);
}

const withoutDot = (name: string) => name.toLowerCase().replace(/\.$/, '');
const withoutBlanks = (text: string) => text.replace(/\s+/g, '');
