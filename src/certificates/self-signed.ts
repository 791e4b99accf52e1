/** Makes a self-signed certificate, so that the relay offers TLS from its first start: RFC 5280 §4, by @peculiar/x509. */
import { webcrypto } from 'node:crypto';
import type { StoredCertificate } from '../store/store.ts';
import { DAY } from '../system/clock.ts';

/** Long, because a renewal makes no client trust it; below the 825 days that some clients allow. */
const LIFETIME = 365 * DAY;

const ALGORITHMS = {
  ecdsa: { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' },
  rsa: { name: 'RSASSA-PKCS1-v1_5', modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]), hash: 'SHA-256' },
} as const;

/** One certificate for all names. Takes about 20 ms (ECDSA) to 300 ms (RSA), mostly for the key. */
export async function createSelfSigned(
  keyType: 'ecdsa' | 'rsa',
  names: readonly string[],
  now: number,
): Promise<StoredCertificate> {
  const x509 = await import('@peculiar/x509'); // loaded late: it costs 130 ms and 10 MB, and a relay with a certificate does not need it
  const crypto = webcrypto as unknown as Parameters<typeof x509.SubjectKeyIdentifierExtension.create>[2] & typeof webcrypto;
  const algorithm = ALGORITHMS[keyType];
  type Keys = Parameters<typeof x509.X509CertificateGenerator.createSelfSigned>[0]['keys'];
  const keys = (await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])) as unknown as Keys;
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    {
      name: `CN=${names[0]}`,
      notBefore: new Date(now - DAY),
      notAfter: new Date(now + LIFETIME),
      signingAlgorithm: algorithm,
      keys,
      extensions: [
        new x509.SubjectAlternativeNameExtension(names.map((value) => ({ type: 'dns' as const, value }))),
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.ExtendedKeyUsageExtension(['1.3.6.1.5.5.7.3.1']),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey, false, crypto),
      ],
    },
    crypto,
  );
  const key = Buffer.from(await crypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64');
  return {
    keyType,
    certificate: `${certificate.toString('pem')}\n`,
    key: `-----BEGIN PRIVATE KEY-----\n${key.replace(/(.{64})(?=.)/g, '$1\n')}\n-----END PRIVATE KEY-----\n`,
    source: 'self-signed',
    createdAt: now,
  };
}
