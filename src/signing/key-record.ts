/** A published DKIM key record, read as strictly as the strictest verifier reads it: RFC 6376 §3.6.1, §3.2, RFC 8463 §4. */
import { plainJson } from '../smtp/text.ts';

type KeyRecord = {
  /** Absent tags have their defaults: rsa, every hash, every service. */
  readonly type: 'rsa' | 'ed25519';
  /** Base64 without white space. */
  readonly publicKey: string;
};

/** `wrong`: why a verifier discards the record, in words for the person who must correct it. */
type KeyRecordReading = { readonly record: KeyRecord } | { readonly wrong: string };

type Tag = readonly [name: string, value: string];
const TAG_NAME = /^[a-z][a-z0-9_]*$/i;
/** White space may fold a value; anything else but `;` is printable ASCII. RFC 6376 §3.2 */
const VALUE = /^[\x21-\x3a\x3c-\x7e \t\r\n]*$/;
const BASE64 = /^(?:[a-z0-9+/]{4})*(?:[a-z0-9+/]{2}==|[a-z0-9+/]{3}=)?$/i;
/** Of what is quoted of a record. */
const MOST_WORDS = 60;

/** @param text the strings of one TXT record, joined. Never throws, takes linear time. */
export function readKeyRecord(text: string): KeyRecordReading {
  const parsed = parseTagList(text);
  if ('wrong' in parsed) return parsed;
  const tags = new Map(parsed.tags);
  const wrong = wrongVersion(parsed.tags) ?? wrongUse(tags);
  if (wrong !== undefined) return { wrong };
  const type = tags.get('k') ?? 'rsa';
  if (type !== 'rsa' && type !== 'ed25519') return { wrong: `k=${quote(type)} is neither rsa nor ed25519` };
  const publicKey = tags.get('p')?.replace(/\s/g, '');
  if (publicKey === undefined) return { wrong: 'it has no p=, the public key' };
  if (publicKey === '') return { wrong: 'its p= is empty: the key is revoked' };
  if (!BASE64.test(publicKey)) return { wrong: 'its p= is not base64: a part of it is missing, or something else stands in it' };
  return { record: { type, publicKey } };
}

function parseTagList(text: string): { readonly tags: readonly Tag[] } | { readonly wrong: string } {
  if (text.includes('\\;'))
    return { wrong: 'it has backslashes before its semicolons: a zone file needs them, the form of a provider does not' };
  if (/^\s*"|"\s*$/.test(text)) return { wrong: 'it has quotation marks of its own: publish it without them' };
  const parts = text.split(';');
  if (parts.at(-1)!.trim() === '') parts.pop(); // one semicolon may end the list
  const tags: Tag[] = [];
  const seen = new Set<string>();
  for (const part of parts) {
    const equals = part.indexOf('=');
    const name = part.slice(0, Math.max(equals, 0)).trim();
    const value = part.slice(equals + 1).trim();
    if (equals === -1 || !TAG_NAME.test(name) || !VALUE.test(value))
      return { wrong: `${quote(part.trim())} in it is not of the form name=value` };
    if (seen.has(name)) return { wrong: `${name}= stands in it twice` };
    seen.add(name);
    tags.push([name, value]);
  }
  return tags.length === 0 ? { wrong: 'it is empty' } : { tags };
}

/** `v=` may be absent; where it is not, it comes first and says DKIM1 in these letters. */
function wrongVersion(tags: readonly Tag[]): string | undefined {
  const at = tags.findIndex(([name]) => name === 'v');
  if (at === -1) return undefined;
  const version = tags[at]![1];
  if (version !== 'DKIM1') return `v=${quote(version)} is not DKIM1`;
  return at === 0 ? undefined : 'v= is not its first tag';
}

function wrongUse(tags: ReadonlyMap<string, string>): string | undefined {
  const list = (name: string) =>
    tags
      .get(name)
      ?.split(':')
      .map((one) => one.trim());
  const hashes = list('h');
  if (hashes !== undefined && !hashes.includes('sha256'))
    return `h=${quote(tags.get('h')!)} does not allow sha256, which we sign with`;
  const services = list('s');
  if (services !== undefined && !services.some((service) => service === '*' || service === 'email'))
    return `s=${quote(tags.get('s')!)} does not allow it for email`;
  return undefined;
}

function quote(text: string): string {
  return plainJson(JSON.stringify(text.length > MOST_WORDS ? `${text.slice(0, MOST_WORDS)}…` : text));
}
