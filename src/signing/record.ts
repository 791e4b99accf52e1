/** The TXT record of a key: RFC 6376 §3.6.1, RFC 8463 §4. */
import { createPublicKey } from 'node:crypto';
import type { Dns } from '../dns/dns.ts';
import type { DkimKey } from '../store/store.ts';
import { parseTags } from './tags.ts';

export type DkimRecord = {
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
  const type = key.algorithm === 'rsa-sha256' ? 'rsa' : 'ed25519';
  return {
    name: `${key.selector}._domainkey.${key.domain}`,
    type: 'TXT',
    ttl: TTL,
    value: `v=DKIM1; k=${type}; p=${publicKeyOf(key)}`,
  };
}

/** One line of a zone file: `<fqdn>. <ttl> IN TXT "≤255" "…"`. */
export function zoneLine({ name, type, ttl, value }: DkimRecord): string {
  const strings = value.match(new RegExp(`.{1,${MAX_STRING}}`, 'gs')) ?? [''];
  return `${name}. ${ttl} IN ${type} ${strings.map((part) => `"${part.replace(/["\\]/g, '\\$&')}"`).join(' ')}`;
}

/** Whether the world can see this key: `different` where there is a record, but not this key; `unknown` where the DNS gave no answer. */
export async function checkPublished(
  key: DkimKey,
  dns: Pick<Dns, 'txt'>,
): Promise<'published' | 'absent' | 'different' | 'unknown'> {
  const { name, value } = dkimRecord(key);
  const answer = await dns.txt(name);
  if (answer.kind === 'temporary') return 'unknown';
  if (answer.kind !== 'found' || answer.values.length === 0) return 'absent';
  const wanted = parseTags(value).get('p');
  return answer.values.some((text) => parseTags(text).get('p') === wanted) ? 'published' : 'different';
}

/** RSA as SubjectPublicKeyInfo, Ed25519 as its bare 32 bytes; base64. */
function publicKeyOf({ algorithm, privateKey }: DkimKey): string {
  const key = createPublicKey(privateKey);
  if (algorithm === 'rsa-sha256') return key.export({ type: 'spki', format: 'der' }).toString('base64');
  return Buffer.from(key.export({ format: 'jwk' }).x ?? '', 'base64url').toString('base64');
}
