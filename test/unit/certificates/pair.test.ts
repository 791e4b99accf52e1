import { beforeAll, describe, expect, test } from 'vitest';
import { CertificateError, coversNames, toPair } from '../../../src/certificates/pair.ts';
import { createSelfSigned } from '../../../src/certificates/self-signed.ts';
import type { StoredCertificate } from '../../../src/store/store.ts';

const NOW = Date.UTC(2026, 0, 1);
let ecdsa: StoredCertificate;
let rsa: StoredCertificate;
beforeAll(async () => {
  ecdsa = await createSelfSigned('ecdsa', ['relay.test', 'smtp.relay.test'], NOW);
  rsa = await createSelfSigned('rsa', ['relay.test'], NOW);
});

test('returns type, names, issuer and times of a pair', () => {
  expect(toPair(ecdsa)).toMatchObject({
    keyType: 'ecdsa',
    names: ['relay.test', 'smtp.relay.test'],
    issuer: 'CN=relay.test',
    selfSigned: true,
    notBefore: NOW - 86_400_000,
  });
  expect(toPair(rsa).keyType).toBe('rsa');
});

test('takes a chain, and only the leaf decides', () => {
  expect(toPair({ certificate: ecdsa.certificate + rsa.certificate, key: ecdsa.key }).keyType).toBe('ecdsa');
});

test('covers names by the certificate’s own, in any case, and by wildcards only one level deep', async () => {
  const { certificate } = await createSelfSigned('ecdsa', ['relay.test', '*.relay.test'], NOW);
  expect(coversNames(certificate, ['relay.test', 'SMTP.relay.test'])).toBe(true);
  expect(coversNames(certificate, ['a.b.relay.test'])).toBe(false);
  expect(coversNames(certificate, ['other.test'])).toBe(false);
});

describe('an invalid pair is refused with the reason', () => {
  test.each([
    ['no certificate', () => ({ certificate: '', key: ecdsa.key }), /no PEM certificate/],
    ['the key of another', () => ({ certificate: ecdsa.certificate, key: rsa.key }), /does not belong/],
    ['no key', () => ({ certificate: ecdsa.certificate, key: '' }), /no PEM private key/],
    ['half a key', () => ({ certificate: ecdsa.certificate, key: ecdsa.key.slice(0, 100) }), /no PEM private key/],
    ['half a leaf', () => ({ certificate: ecdsa.certificate.slice(0, 300), key: ecdsa.key }), /not whole/],
    [
      'half an intermediate',
      () => ({ certificate: ecdsa.certificate + rsa.certificate.slice(0, 700), key: ecdsa.key }),
      /not whole/,
    ],
    [
      'a key among the certificates',
      () => ({ certificate: ecdsa.certificate + ecdsa.key, key: ecdsa.key }),
      /not whole|something else/,
    ],
  ])('%s', (_, pair, reason) => {
    expect(() => toPair(pair())).toThrow(CertificateError);
    expect(() => toPair(pair())).toThrow(reason);
  });

  test('every cut of a file that is being written', () => {
    const chain = ecdsa.certificate + rsa.certificate;
    const whole = new Set([ecdsa.certificate.length - 1, ecdsa.certificate.length, chain.length - 1]);
    for (let cut = 0; cut < chain.length; cut += 1) {
      if (!whole.has(cut)) expect(() => toPair({ certificate: chain.slice(0, cut), key: ecdsa.key }), `cut at ${cut}`).toThrow();
    }
  });
});
