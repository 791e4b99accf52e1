/** A certificate with its key, judged before it serves: RFC 5280, RFC 8446 §4.4.2. */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';

export type KeyType = 'ecdsa' | 'rsa';
export const KEY_TYPES: readonly KeyType[] = ['ecdsa', 'rsa'];

/** What the listeners serve, and what is told about it. Times in milliseconds since the epoch. */
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

/** Thrown where certificates do not fit, with the sentence for the operator. */
export class CertificateError extends Error {
  override readonly name = 'CertificateError';
}

/** @throws CertificateError with the reason, where the pair cannot serve. */
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

/** What a certificate says about itself. */
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

/** @returns true where each of the names is in the certificate, if only by a wildcard. */
export function coversNames(certificate: string, names: readonly string[]): boolean {
  const leaf = new X509Certificate(certificate);
  return names.every((name) => leaf.checkHost(name) !== undefined);
}

/** Every block must be whole: a file that is being written ends in the middle of one. */
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
