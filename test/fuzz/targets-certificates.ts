/** Certificates and TLSA records, which come from strangers. Held to what `targets.ts` says. */
import assert from 'node:assert/strict';
import { createHash, createPublicKey, X509Certificate } from 'node:crypto';
import { rootCertificates } from 'node:tls';
import type { TlsaRecord } from '../../src/dns/dns.ts';
import { inEnglish } from '../../src/system/phrase.ts';
import {
  anchorsIn,
  anchorsInDns,
  canBeUsed,
  countingRecords,
  fateOf,
  hashOf,
  matchOwn,
  publicKeyOf,
  tlsaText,
} from '../../src/tls-policy/tlsa.ts';

const host = new X509Certificate(rootCertificates[0]!);

/**
 * A TLSA record whose data are also read as a certificate: what can be used is a digest of its length or one whole structure, a record
 * matches only what it holds, and a key is cut out of nothing but a certificate's own octets.
 */
export function tlsaRecords(input: Buffer): string {
  const [usage = 255, selector = 255, matching = 255, ...octets] = input.subarray(0, 8192);
  const record = { usage, selector, matching, data: Buffer.from(octets) };
  const { data } = record;
  const key = publicKeyOf(data);
  if (key !== undefined) assert.ok(key.length <= data.length && key[0] === 0x30);
  if (!canBeUsed(record)) {
    assert.deepEqual(countingRecords([record]), []);
    assert.match(inEnglish(fateOf(record, [record])), /^[ -~]{10,80}$/);
    return `${usage} ${selector} ${matching > 2} unusable ${key !== undefined}`;
  }
  assert.ok((usage === 2 || usage === 3) && selector < 2 && matching < 3);
  holdsAgility(record);
  if (matching > 0) assert.equal(data.length, 32 * matching);
  const isHost = matchOwn([record], host) !== undefined;
  const isAnchor = anchorsIn([record], [host, host]).length > 0;
  assert.ok(!isAnchor, 'nobody is the authority of itself');
  if (isHost && matching === 0) assert.ok(data.equals(selector === 0 ? host.raw : publicKeyOf(host.raw)!));
  for (const { certificate } of anchorsInDns([record])) {
    assert.ok(certificate.raw.equals(data));
    assert.ok(key !== undefined, 'where Node finds a certificate there is a key to cut out');
  }
  return `${usage} ${selector} ${matching} ${isHost}`;
}

/** Beside a SHA-512 digest of the same usage and selector one of SHA-256 does not count, and nothing else is left out. */
function holdsAgility(record: TlsaRecord): void {
  const strong = { ...record, matching: 2, data: Buffer.alloc(64) };
  const other = { ...strong, usage: 5 - record.usage };
  const counting = countingRecords([record, strong, other]);
  assert.deepEqual(counting, record.matching === 1 ? [strong, other] : [record, strong, other]);
  assert.equal(hashOf([record, other]), hashOf([other, record]));
  assert.equal(inEnglish(fateOf(record, [record])), 'counts');
  assert.match(inEnglish(fateOf(record, [record, strong])), record.matching === 1 ? /stronger digest/ : /^counts$/);
  const { usage, selector, matching, data } = record;
  assert.equal(tlsaText(record), `${usage} ${selector} ${matching} ${data.toString('hex').toUpperCase()}`);
}

/**
 * The DER of a certificate: the key that is cut out stands in it, and is the key that OpenSSL reads. Records made of the certificate match
 * it, and those of any other do not.
 */
export function certificateKeys(input: Buffer, cut: number): string {
  const key = publicKeyOf(input);
  if (key !== undefined) {
    assert.ok(key.length >= 2 && key[0] === 0x30 && input.includes(key));
    const whole = lengthOf(input);
    assert.ok(whole <= input.length, 'a key is cut out of what is whole');
    if (cut < whole) assert.equal(publicKeyOf(input.subarray(0, cut)), undefined);
    assert.ok(publicKeyOf(Buffer.concat([input, input]))?.equals(key), 'what follows does not matter');
  }
  const certificate = readCertificate(input);
  if (certificate === undefined) return `none ${key !== undefined}`;
  assert.ok(key !== undefined, 'what Node reads as a certificate has a key');
  const cutOut = keyOf({ key, format: 'der', type: 'spki' });
  const read = readKey(certificate);
  if (read !== undefined) assert.ok(cutOut?.equals(read), 'it is the key that OpenSSL reads');
  holdsMatches(certificate, key);
  return `${certificate.raw.equals(input)} ${cutOut?.asymmetricKeyType} ${read?.asymmetricKeyType}`;
}

/** Of the first element of DER: X.690 §8.1.3. */
function lengthOf(der: Buffer): number {
  const short = der[1]!;
  return short < 0x80 ? 2 + short : 2 + (short & 0x7f) + der.readUIntBE(2, short & 0x7f);
}

function holdsMatches(certificate: X509Certificate, key: Buffer): void {
  for (const [selector, data] of [certificate.raw, key].entries()) {
    const digests = [data, createHash('sha256').update(data).digest(), createHash('sha512').update(data).digest()];
    for (const [matching, one] of digests.entries()) {
      const record: TlsaRecord = { usage: 3, selector, matching, data: one };
      const changed = { ...record, data: Buffer.concat([one.subarray(0, -1), Buffer.from([one.at(-1)! ^ 1])]) };
      assert.equal(matchOwn([changed, record], certificate), record);
      assert.equal(matchOwn([changed], certificate), undefined);
      const anchor = { ...record, usage: 2 };
      assert.equal(matchOwn([anchor], certificate), undefined, 'an anchor is not the host');
      assert.equal(anchorsIn([anchor], [certificate]).length, 0);
      assert.equal(anchorsIn([record], [host, certificate]).length, 0, 'the host is not an anchor');
      if (!certificate.raw.equals(host.raw)) assert.equal(anchorsIn([anchor], [host, certificate])[0]?.record, anchor);
    }
  }
}

function readCertificate(input: Buffer): X509Certificate | undefined {
  try {
    return input[0] === 0x30 ? new X509Certificate(input) : undefined; // not PEM
  } catch {
    return undefined;
  }
}

function readKey(certificate: X509Certificate) {
  try {
    return certificate.publicKey;
  } catch {
    return undefined; // of an algorithm that OpenSSL does not know
  }
}

function keyOf(key: Parameters<typeof createPublicKey>[0]) {
  try {
    return createPublicKey(key);
  } catch {
    return undefined;
  }
}
