/** A test authority, and certificates of it that are valid, or wrong in one way. */
import { webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import { DAY } from '../../src/system/clock.ts';

export type Issued = { readonly cert: string; readonly key: string };
export type TestAuthority = {
  /** PEM, for those who trust it. */
  readonly pem: string;
  /** @param names DNS names; `subject` is the common name, and no name at all by default. Good for a day around now, or until `ends`. */
  issue(names: readonly string[], more?: { readonly subject?: string; readonly ends?: number }): Promise<Issued>;
};

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const crypto = webcrypto as unknown as Parameters<typeof x509.SubjectKeyIdentifierExtension.create>[2] & typeof webcrypto;

export async function createAuthority(name = 'Test Authority'): Promise<TestAuthority> {
  const keys = await crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const now = Date.now();
  const root = await x509.X509CertificateGenerator.createSelfSigned(
    {
      name: `CN=${name}`,
      ...{ notBefore: new Date(now - 9 * DAY), notAfter: new Date(now + 9 * DAY), signingAlgorithm: ALGORITHM, keys },
      extensions: [new x509.BasicConstraintsExtension(true, undefined, true)],
    },
    crypto,
  );
  return {
    pem: root.toString('pem'),
    async issue(names, { subject, ends = now + DAY } = {}) {
      const own = await crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
      const certificate = await x509.X509CertificateGenerator.create(
        {
          subject: subject === undefined ? 'O=Test' : `CN=${subject}`,
          issuer: root.subject,
          ...{ notBefore: new Date(now - 8 * DAY), notAfter: new Date(ends), signingAlgorithm: ALGORITHM },
          ...{ publicKey: own.publicKey, signingKey: keys.privateKey },
          extensions: [
            ...(names.length === 0
              ? []
              : [new x509.SubjectAlternativeNameExtension(names.map((value) => ({ type: 'dns', value })))]),
            new x509.ExtendedKeyUsageExtension(['1.3.6.1.5.5.7.3.1']),
          ],
        },
        crypto,
      );
      const key = Buffer.from(await crypto.subtle.exportKey('pkcs8', own.privateKey)).toString('base64');
      return { cert: certificate.toString('pem'), key: `-----BEGIN PRIVATE KEY-----\n${key}\n-----END PRIVATE KEY-----\n` };
    },
  };
}
