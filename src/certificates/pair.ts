/** A certificate with its key, checked before it is served: RFC 5280, RFC 8446 §4.4.2. */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';

export type KeyType = 'ecdsa' | 'rsa';
export const KEY_TYPES: readonly KeyType[] = ['ecdsa', 'rsa'];

/** A pair that the listeners serve, with the facts that are reported. Times are milliseconds since the epoch. */
export type Pair = {
  readonly keyType: KeyType;
  /** PEM, leaf first. */
  readonly certificate: string;
  readonly key: string;
  readonly names: readonly string[];
  readonly issuer: string;
  readonly notBefore: number;
  readonly notAfter: number;
  readonly selfSigned: boolean;
};

/** Thrown if a certificate cannot be served, with a sentence for the operator. */
export class CertificateError extends Error {
  override readonly name = 'CertificateError';
}

/** @throws CertificateError with the reason, if the pair cannot be served. */
export function toPair({ certificate, key }: { readonly certificate: string; readonly key: string }): Pair {
  const [leaf] = readChain(certificate);
  if (leaf === undefined) throw new CertificateError('there is no PEM certificate');
  const privateKey = attempt(() => createPrivateKey(key), 'the key is no PEM private key without a passphrase, or not all of it');
  if (!leaf.checkPrivateKey(privateKey)) throw new CertificateError('the key does not belong to the certificate');
  const type = leaf.publicKey.asymmetricKeyType;
  if (type !== 'rsa' && type !== 'ec')
    throw new CertificateError(`a certificate with a key of type ${type} is not served: use ECDSA or RSA`);
  attempt(() => createSecureContext({ key, cert: certificate }), 'OpenSSL does not take certificate and key');
  return { keyType: type === 'ec' ? 'ecdsa' : 'rsa', certificate, key, ...describeCertificate(leaf) };
}

/** Reads names, times and issuer of a certificate. */
export function describeCertificate(
  leaf: X509Certificate,
): Pick<Pair, 'names' | 'issuer' | 'notBefore' | 'notAfter' | 'selfSigned'> {
  const names = [...(leaf.subjectAltName ?? '').matchAll(/DNS:([^,\s"]+)/g)].map(([, name]) => name!);
  return {
    names,
    issuer: leaf.issuer.replaceAll('\n', ', '),
    notBefore: leaf.validFromDate.getTime(),
    notAfter: leaf.validToDate.getTime(),
    selfSigned: leaf.subject === leaf.issuer && leaf.verify(leaf.publicKey),
  };
}

/** @returns true if the certificate has each of the names, directly or by a wildcard. */
export function coversNames(certificate: string, names: readonly string[]): boolean {
  const leaf = new X509Certificate(certificate);
  return names.every((name) => leaf.checkHost(name) !== undefined);
}

/** Every block must be complete: a file that is still being written ends in the middle of a block. */
function readChain(text: string): readonly X509Certificate[] {
  const blocks =
    text.match(/-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----[^-]*-----END (?:X509 |TRUSTED )?CERTIFICATE-----/g) ?? [];
  if (blocks.length !== (text.match(/^-/gm)?.length ?? 0) / 2)
    throw new CertificateError('the certificate is not whole, or its file holds something else too');
  return blocks.map((block) => attempt(() => new X509Certificate(block), 'a certificate cannot be read'));
}

function attempt<T>(make: () => T, reason: string): T {
  try {
    return make();
  } catch (cause) {
    throw new CertificateError(`${reason} (${(cause as Error).message})`, { cause });
  }
}
