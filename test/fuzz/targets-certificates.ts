/** Certificates and TLSA records, which come from strangers. Held to what `targets.ts` says. */
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { rootCertificates } from 'node:tls';
import { anchorsIn, anchorsInDns, canBeUsed, countingRecords, matchOwn, publicKeyOf } from '../../src/tls-policy/tlsa.ts';

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
    return `${usage} ${selector} ${matching > 2} unusable ${key !== undefined}`;
  }
  assert.ok((usage === 2 || usage === 3) && selector < 2 && matching < 3);
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
