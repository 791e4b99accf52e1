/** The TXT record of a key: RFC 6376 §3.6.1, RFC 8463 §4. */
import { createPublicKey } from 'node:crypto';
import { type Dns, presentText } from '../dns/dns.ts';
import type { DkimKey } from '../store/store.ts';
import { readKeyRecord } from './key-record.ts';

type DkimRecord = {
  /** `selector._domainkey.domain`, without a dot at the end. */
  readonly name: string;
  readonly type: 'TXT';
  /** Seconds. */
  readonly ttl: number;
  /** Whole and unquoted. */
  readonly value: string;
};

const TTL = 3600;
/** One string of a TXT record: RFC 1035 §3.3. */
const MAX_STRING = 255;

export function dkimRecord(key: DkimKey): DkimRecord {
  return {
    name: `${key.selector}._domainkey.${key.domain}`,
    type: 'TXT',
    ttl: TTL,
    value: `v=DKIM1; k=${typeOf(key)}; p=${publicKeyOf(key)}`,
  };
}

/**
 * One line of a zone file: `<fqdn>. <ttl> IN TXT "≤255" "…"`, with other octets than printable ASCII as `\DDD`: RFC 1035 §5.1.
 * @param value each character is one octet, as look-ups give it; text with a character beyond that is encoded as UTF-8.
 */
export function zoneLine({ name, type, ttl, value }: DkimRecord): string {
  const isOctets = [...value].every((one) => one.charCodeAt(0) <= 0xff);
  const octets = isOctets ? value : Buffer.from(value).toString('latin1');
  const strings = octets.match(new RegExp(`.{1,${MAX_STRING}}`, 'gs')) ?? [''];
  const escaped = (part: string) => presentText(part).replaceAll('"', '\\"');
  return `${name}. ${ttl} IN ${type} ${strings.map((part) => `"${escaped(part)}"`).join(' ')}`;
}

/**
 * `published`: verifiers find this key. `different`: there is a record, and none of this key that a verifier takes. `unknown`: the DNS
 * gave no answer.
 */
type Published = 'published' | 'absent' | 'different' | 'unknown';

/** What stands at the name of a key. `wrong`: with `different`, why verifiers do not find the key in it. */
export type PublishedRecord = { readonly state: Published; readonly wrong?: string };

export async function lookUpRecord(key: DkimKey, dns: Pick<Dns, 'txt'>): Promise<PublishedRecord> {
  const answer = await dns.txt(dkimRecord(key).name);
  if (answer.kind === 'temporary') return { state: 'unknown' };
  if (answer.kind !== 'found' || answer.values.length === 0) return { state: 'absent' };
  const wrong = wrongWith(answer.values, key);
  return wrong === undefined ? { state: 'published' } : { state: 'different', wrong };
}

/** The word alone. */
export async function checkPublished(key: DkimKey, dns: Pick<Dns, 'txt'>): Promise<Published> {
  return (await lookUpRecord(key, dns)).state;
}

function wrongWith(values: readonly string[], key: DkimKey): string | undefined {
  if (values.length > 1) return `${values.length} TXT records: a verifier takes any one of them (RFC 6376 §3.6.2.2)`;
  const reading = readKeyRecord(values[0]!);
  if ('wrong' in reading) return `a record that verifiers discard: ${reading.wrong}`;
  const { type, publicKey } = reading.record;
  if (type !== typeOf(key)) return `a record of a key of another type, ${type}`;
  return publicKey === publicKeyOf(key) ? undefined : 'a record with another key';
}

const typeOf = ({ algorithm }: DkimKey) => (algorithm === 'rsa-sha256' ? 'rsa' : 'ed25519');

/** RSA as SubjectPublicKeyInfo, Ed25519 as its bare 32 bytes; base64. */
function publicKeyOf({ algorithm, privateKey }: DkimKey): string {
  const key = createPublicKey(privateKey);
  if (algorithm === 'rsa-sha256') return key.export({ type: 'spki', format: 'der' }).toString('base64');
  return Buffer.from(key.export({ format: 'jwk' }).x ?? '', 'base64url').toString('base64');
}
