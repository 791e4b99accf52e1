/** Matches TLSA records with the certificates of a host: RFC 6698 §2.1, RFC 7671 §5 and §9, RFC 7672 §3. Pure functions. */
import { createHash, createPublicKey, X509Certificate } from 'node:crypto';
import type { TlsaRecord } from '../dns/dns.ts';
import { type Phrase, phrase } from '../system/phrase.ts';

export type { TlsaRecord };

/** Certificate usages for SMTP: RFC 7672 §3.1. */
const DANE_TA = 2;
const DANE_EE = 3;
/** Octets of a digest, by matching type: RFC 6698 §2.1.3. */
const DIGESTS: Readonly<Record<number, { readonly name: 'sha256' | 'sha512'; readonly octets: number }>> = {
  1: { name: 'sha256', octets: 32 },
  2: { name: 'sha512', octets: 64 },
};
const FULL = 0;
const SPKI = 1;

/** Records of public authorities (usages 0 and 1) and records that nothing can match are not usable: RFC 7672 §3.1.3. */
export function canBeUsed({ usage, selector, matching, data }: TlsaRecord): boolean {
  if ((usage !== DANE_TA && usage !== DANE_EE) || selector > SPKI) return false;
  if (matching !== FULL) return DIGESTS[matching]?.octets === data.length;
  return (selector === SPKI ? isPublicKey(data) : readCertificate(data)) !== undefined;
}

/** What becomes of one record among those of its name, in words: `counts`, or why it does not. */
export function fateOf(record: TlsaRecord, records: readonly TlsaRecord[]): Phrase {
  if (countingRecords(records).includes(record)) return isOfNothing(record) ? OF_NOTHING : phrase`counts`;
  const { usage, selector, matching, data } = record;
  if (canBeUsed(record)) return phrase`does not count beside a stronger digest of the same`;
  if (usage !== DANE_TA && usage !== DANE_EE) return phrase`usage ${usage} has no meaning for mail (RFC 7672)`;
  if (selector > SPKI) return phrase`selector ${selector} is not known`;
  if (matching === FULL) return selector === SPKI ? phrase`it is no public key` : phrase`it is no certificate`;
  const digest = DIGESTS[matching];
  return digest === undefined
    ? phrase`matching type ${matching} is not known`
    : phrase`${data.length} octets are no digest of ${digest.octets}`;
}

/** Some programs have published it in place of that of a key. */
const OF_NOTHING = phrase`counts, but is the digest of no data, so that nothing can match it`;

function isOfNothing({ matching, data }: TlsaRecord): boolean {
  const digest = DIGESTS[matching];
  return digest !== undefined && data.equals(createHash(digest.name).digest());
}

/**
 * The usable records. Of several digests for the same usage and selector only the strongest counts, so that attacks on a weak digest
 * are useless: RFC 7671 §9.
 */
export function countingRecords(records: readonly TlsaRecord[]): readonly TlsaRecord[] {
  const usable = records.filter(canBeUsed);
  return usable.filter(
    ({ usage, selector, matching }) =>
      matching === FULL ||
      !usable.some((other) => other.usage === usage && other.selector === selector && other.matching > matching),
  );
}

/** The record that matches the host's own certificate. Its name, dates and issuer do not matter: RFC 7672 §3.1.1. */
export function matchOwn(records: readonly TlsaRecord[], own: X509Certificate): TlsaRecord | undefined {
  return records.find((record) => record.usage === DANE_EE && matches(record, own));
}

/** A trust anchor, and the record that names it. */
export type Anchor = { readonly record: TlsaRecord; readonly certificate: X509Certificate };

/** Anchors that are whole certificates in the DNS. The host need not send them: RFC 7672 §3.1.2. */
export function anchorsInDns(records: readonly TlsaRecord[]): readonly Anchor[] {
  return records.flatMap((record) => {
    if (record.usage !== DANE_TA || record.selector === SPKI || record.matching !== FULL) return [];
    const certificate = readCertificate(record.data);
    return certificate === undefined ? [] : [{ record, certificate }];
  });
}

/**
 * Anchors among the sent certificates, without the host's own certificate: RFC 7671 §5.2. Their presence proves nothing. The path from
 * the host's certificate to an anchor must be verified separately.
 */
export function anchorsIn(records: readonly TlsaRecord[], [own, ...others]: readonly X509Certificate[]): readonly Anchor[] {
  const anchors = records.filter(({ usage }) => usage === DANE_TA);
  if (anchors.length === 0) return [];
  return others.flatMap((certificate) => {
    const record = own?.raw.equals(certificate.raw) ? undefined : anchors.find((anchor) => matches(anchor, certificate));
    return record === undefined ? [] : [{ record, certificate }];
  });
}

export function hasAnchors(records: readonly TlsaRecord[]): boolean {
  return records.some(({ usage }) => usage === DANE_TA);
}

/** The record as in a zone file, `3 1 1 0A1B…`: RFC 6698 §2.2. */
export function tlsaText({ usage, selector, matching, data }: TlsaRecord): string {
  return `${usage} ${selector} ${matching} ${data.toString('hex').toUpperCase()}`;
}

/** Identifies a set of records in any order. */
export function hashOf(records: readonly TlsaRecord[]): string {
  return createHash('sha256').update(records.map(tlsaText).sort().join('\n')).digest('base64url').slice(0, 22);
}

function matches({ selector, matching, data }: TlsaRecord, { raw }: X509Certificate): boolean {
  const selected = selector === SPKI ? publicKeyOf(raw) : raw;
  if (selected === undefined) return false;
  const digest = DIGESTS[matching];
  return data.equals(digest === undefined ? selected : createHash(digest.name).update(selected).digest());
}

function isPublicKey(data: Buffer): true | undefined {
  try {
    createPublicKey({ key: data, format: 'der', type: 'spki' });
    return readElement(data, 0)?.end === data.length || undefined;
  } catch {
    return undefined; // not a public key, or one of an unknown algorithm
  }
}

/** @returns undefined if the data are not exactly one DER certificate with a usable key. */
function readCertificate(data: Buffer): X509Certificate | undefined {
  try {
    const certificate = new X509Certificate(data);
    // Node also reads PEM, and ignores data after a certificate.
    return certificate.raw.equals(data) && certificate.publicKey !== undefined ? certificate : undefined;
  } catch {
    return undefined;
  }
}

type Element = { readonly tag: number; readonly content: number; readonly end: number };

/** Reads the DER element at `at`: X.690 §8.1. @returns undefined if it is incomplete. */
function readElement(der: Buffer, at: number): Element | undefined {
  const [tag, short] = [der[at], der[at + 1]];
  if (tag === undefined || short === undefined) return undefined;
  const octets = short < 0x80 ? 0 : short - 0x80;
  const content = at + 2 + octets;
  if (octets > 4 || short === 0x80 || content > der.length) return undefined;
  const end = content + (octets === 0 ? short : der.readUIntBE(at + 2, octets));
  return end > der.length ? undefined : { tag, content, end };
}

/** Serial number, signature, issuer, validity and subject come before the key: RFC 5280 §4.1. */
const BEFORE_KEY = 5;
const VERSION = 0xa0;
const SEQUENCE = 0x30;

/**
 * The SubjectPublicKeyInfo of a certificate, with exactly the octets that were sent. Node only offers the key in a new encoding.
 * @returns undefined if the data are not a certificate.
 */
export function publicKeyOf(certificate: Buffer): Buffer | undefined {
  const whole = readElement(certificate, 0);
  const signed = whole && readElement(certificate, whole.content);
  if (whole?.tag !== SEQUENCE || signed?.tag !== SEQUENCE) return undefined;
  let at = signed.content;
  if (certificate[at] === VERSION) at = readElement(certificate, at)?.end ?? signed.end;
  for (let i = 0; i < BEFORE_KEY; i++) at = readElement(certificate, at)?.end ?? signed.end;
  const key = readElement(certificate, at);
  return key?.tag === SEQUENCE && key.end <= signed.end ? certificate.subarray(at, key.end) : undefined;
}
