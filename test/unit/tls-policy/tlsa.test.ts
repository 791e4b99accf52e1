import { execFileSync } from 'node:child_process';
import { createHash, X509Certificate } from 'node:crypto';
import { rootCertificates } from 'node:tls';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  anchorsIn,
  anchorsInDns,
  canBeUsed,
  countingRecords,
  hashOf,
  matchOwn,
  publicKeyOf,
  tlsaText,
} from '../../../src/tls-policy/tlsa.ts';
import { type Certified, makeAuthority, makeHost, recordOf, tlsaOf } from '../../support/chains.ts';

let root: Certified;
let intermediate: Certified;
let own: Certified;
beforeAll(async () => {
  root = await makeAuthority('root');
  intermediate = await makeAuthority('intermediate', { issuer: root });
  own = await makeHost({ names: ['mx.example.test'], issuer: intermediate });
});
const records = (...texts: readonly string[]) => texts.map(recordOf);
const [SHA256, SHA512] = ['ab'.repeat(32), 'ab'.repeat(64)];

describe('a record can be used', () => {
  test.each(['2 0 1', '2 1 1', '3 0 1', '3 1 1'])('%s with 32 octets', (numbers) => {
    expect(canBeUsed(recordOf(`${numbers} ${SHA256}`))).toBe(true);
    expect(canBeUsed(recordOf(`${numbers} ${SHA512}`))).toBe(false);
    expect(canBeUsed(recordOf(`${numbers} ${SHA256.slice(2)}`))).toBe(false);
    expect(canBeUsed(recordOf(`${numbers} `))).toBe(false);
  });
  test.each(['2 0 2', '2 1 2', '3 0 2', '3 1 2'])('%s with 64 octets', (numbers) => {
    expect(canBeUsed(recordOf(`${numbers} ${SHA512}`))).toBe(true);
    expect(canBeUsed(recordOf(`${numbers} ${SHA256}`))).toBe(false);
  });
  test('a certificate and a key belong to their own selectors, and must be whole', () => {
    for (const usage of [2, 3]) {
      expect(canBeUsed(recordOf(tlsaOf(usage, 0, 0, root)))).toBe(true);
      expect(canBeUsed(recordOf(tlsaOf(usage, 1, 0, root)))).toBe(true);
      const swapped = (selector: number) => tlsaOf(usage, 1 - selector, 0, root).replace(/^\d \d/, `${usage} ${selector}`);
      expect(canBeUsed(recordOf(swapped(0)))).toBe(false);
      expect(canBeUsed(recordOf(swapped(1)))).toBe(false);
      expect(canBeUsed(recordOf(`${tlsaOf(usage, 0, 0, root)}00`)), 'something behind it').toBe(false);
      expect(canBeUsed(recordOf(`${tlsaOf(usage, 1, 0, root)}00`)), 'something behind it').toBe(false);
      expect(canBeUsed({ usage, selector: 0, matching: 0, data: Buffer.from(root.pem) }), 'PEM').toBe(false);
    }
  });
  test.each(['0 0 1', '1 1 1', '4 1 1', '255 1 1', '3 2 1', '3 255 1', '3 1 3', '3 1 9', '3 1 255', '255 255 255'])(
    'not %s',
    (numbers) => {
      expect(canBeUsed(recordOf(`${numbers} ${SHA256}`))).toBe(false);
    },
  );
  test('no data make it throw, and records of public authorities never count', () => {
    const octet = fc.nat(255);
    const record = fc.record({ usage: octet, selector: fc.nat(3), matching: fc.nat(3), data: fc.uint8Array({ maxLength: 200 }) });
    fc.assert(
      fc.property(record, ({ data, ...numbers }) => {
        const usable = canBeUsed({ ...numbers, data: Buffer.from(data) });
        if (usable) expect([2, 3]).toContain(numbers.usage);
      }),
    );
  });
});

describe('of digests of the same thing the strongest counts: RFC 7671 §9', () => {
  test('SHA-512 puts SHA-256 out of the way, for its own usage and selector alone, and whole data stay', () => {
    const given = [`3 1 1 ${SHA256}`, `3 1 2 ${SHA512}`, `3 0 1 ${SHA256}`, `2 1 1 ${SHA256}`, tlsaOf(3, 1, 0, root)];
    expect(countingRecords(records(...given)).map((record) => tlsaText(record).slice(0, 5))).toEqual([
      '3 1 2',
      '3 0 1',
      '2 1 1',
      '3 1 0',
    ]);
  });
  test('a strong one that cannot be used puts nothing out of the way', () => {
    expect(countingRecords(records(`3 1 1 ${SHA256}`, `3 1 2 ${SHA256}`))).toHaveLength(1);
  });
});

describe('the host itself', () => {
  test.each([
    [0, 0],
    [0, 1],
    [0, 2],
    [1, 0],
    [1, 1],
    [1, 2],
  ])('3 %i %i', (selector, matching) => {
    const [right, wrong] = records(tlsaOf(3, selector, matching, own), tlsaOf(3, selector, matching, root));
    expect(matchOwn([wrong!, right!], own.certificate)).toBe(right);
    expect(matchOwn([wrong!], own.certificate)).toBeUndefined();
  });
  test('is no authority, and no authority is the host', () => {
    expect(matchOwn(records(tlsaOf(2, 1, 1, own)), own.certificate)).toBeUndefined();
    expect(anchorsIn(records(tlsaOf(3, 1, 1, root)), [own.certificate, root.certificate])).toEqual([]);
  });
});

describe('an authority', () => {
  const chain = () => [own, intermediate, root].map(({ certificate }) => certificate);
  test.each([
    [0, 0],
    [0, 1],
    [0, 2],
    [1, 0],
    [1, 1],
    [1, 2],
  ])('2 %i %i is found where it was sent, at any depth but that of the host', (selector, matching) => {
    for (const anchor of [intermediate, root]) {
      const found = anchorsIn(records(tlsaOf(2, selector, matching, anchor)), chain());
      expect(found.map(({ certificate }) => certificate.subject)).toEqual([anchor.certificate.subject]);
    }
    expect(anchorsIn(records(tlsaOf(2, selector, matching, own)), chain())).toEqual([]);
  });
  test('is never the host’s own certificate, though it was sent twice: RFC 7671 §5.2', () => {
    const twice = [own.certificate, own.certificate, new X509Certificate(own.pem)];
    expect(anchorsIn(records(tlsaOf(2, 0, 1, own), tlsaOf(2, 1, 1, own)), twice)).toEqual([]);
  });
  test('comes from the DNS if the record has a whole certificate; a key alone is no anchor', () => {
    const given = records(tlsaOf(2, 0, 0, root), tlsaOf(2, 1, 0, root), tlsaOf(2, 0, 1, root), tlsaOf(3, 0, 0, root));
    expect(anchorsInDns(given).map(({ record }) => tlsaText(record).slice(0, 5))).toEqual(['2 0 0']);
  });
});

describe('the key as it was sent', () => {
  test('is what Node makes of it, for every authority that Node knows', () => {
    for (const pem of rootCertificates) {
      const { raw, publicKey } = new X509Certificate(pem);
      expect(publicKeyOf(raw)!.equals(publicKey.export({ type: 'spki', format: 'der' }))).toBe(true);
    }
  });
  test('is what openssl says', () => {
    const key = execFileSync('openssl', ['x509', '-pubkey', '-noout'], { input: own.pem });
    const der = execFileSync('openssl', ['pkey', '-pubin', '-outform', 'DER'], { input: key });
    expect(createHash('sha256').update(publicKeyOf(own.certificate.raw)!).digest('hex')).toBe(
      createHash('sha256').update(der).digest('hex'),
    );
  });
  test('of anything else is nothing, and nothing is thrown', () => {
    const { raw } = own.certificate;
    for (let length = 0; length < raw.length; length += 7) publicKeyOf(raw.subarray(0, length));
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (data) => void publicKeyOf(Buffer.from(data))));
    const flipped = fc.tuple(fc.nat(raw.length - 1), fc.nat(255));
    fc.assert(
      fc.property(flipped, ([at, value]) => {
        const changed = Buffer.from(raw);
        changed[at] = value;
        publicKeyOf(changed);
      }),
    );
  });
});

test('a set of records has one name in any order', () => {
  const [a, b] = records(tlsaOf(3, 1, 1, own), tlsaOf(2, 1, 1, root));
  expect(hashOf([a!, b!])).toBe(hashOf([b!, a!]));
  expect(hashOf([a!])).not.toBe(hashOf([a!, b!]));
});
