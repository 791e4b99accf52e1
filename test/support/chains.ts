/** Certificates for tests of chains, good and odd, made in this process: authorities, hosts, and what TLSA records say of them. */
import { createHash, webcrypto, X509Certificate } from 'node:crypto';
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from '@peculiar/x509';

export type Certified = {
  readonly certificate: X509Certificate;
  readonly subject: string;
  /** PEM. */
  readonly pem: string;
  readonly key: string;
  readonly signingKey: webcrypto.CryptoKey;
};

type Validity = { readonly expired?: boolean };
export type HostOptions = Validity & {
  /** DNS names; none: only the common name. */
  readonly names?: readonly string[];
  readonly commonName?: string;
  /** Absent: self-signed. */
  readonly issuer?: Certified;
  readonly rsa?: 1024 | 2048;
  /** What the certificate says that it is for; absent: anything. */
  readonly usage?: 'client';
};
export type AuthorityOptions = Validity & {
  readonly issuer?: Certified;
  readonly pathLength?: number;
  /** Names that certificates below it may have, or may not: RFC 5280 §4.2.1.10. */
  readonly permitted?: string;
  readonly excluded?: string;
  /** Absent: P-256. */
  readonly rsa?: 1024 | 2048;
  /** False: its certificate says that it is no authority. */
  readonly isAuthority?: boolean;
};

const EC = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const RSA = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256', publicExponent: new Uint8Array([1, 0, 1]) };
const DAY = 86_400_000;
let serial = 1;

export function makeAuthority(
  commonName: string,
  { issuer, pathLength, permitted, excluded, rsa, isAuthority = true, expired = false }: AuthorityOptions = {},
): Promise<Certified> {
  const usage = KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign;
  const extensions = [
    new BasicConstraintsExtension(isAuthority, pathLength, true),
    ...(isAuthority ? [new KeyUsagesExtension(usage, true)] : []),
    ...(permitted === undefined ? [] : [nameConstraints(0xa0, permitted)]),
    ...(excluded === undefined ? [] : [nameConstraints(0xa1, excluded)]),
  ];
  return make({ subject: `CN=${commonName}`, issuer, expired, extensions, rsa });
}

/** One DNS name: `NameConstraints` with one subtree, in DER. */
function nameConstraints(tag: number, name: string): Extension {
  const wrap = (outer: number, inner: Buffer) => Buffer.concat([Buffer.from([outer, inner.length]), inner]);
  const value = wrap(0x30, wrap(tag, wrap(0x30, wrap(0x82, Buffer.from(name)))));
  return new Extension('2.5.29.30', true, new Uint8Array(value));
}

export function makeHost({
  names = [],
  commonName = names[0] ?? 'host',
  issuer,
  expired = false,
  rsa,
  usage,
}: HostOptions): Promise<Certified> {
  const bare = [
    new BasicConstraintsExtension(false, undefined, true),
    ...(usage === undefined ? [] : [new ExtendedKeyUsageExtension([ExtendedKeyUsage.clientAuth])]),
  ];
  const alternative = names.map((value) => ({ type: 'dns' as const, value }));
  const extensions = names.length === 0 ? bare : [...bare, new SubjectAlternativeNameExtension(alternative)];
  return make({ subject: `CN=${commonName}`, issuer, expired, extensions, rsa });
}

type Make = {
  readonly subject: string;
  readonly issuer: Certified | undefined;
  readonly expired: boolean;
  readonly extensions: ConstructorParameters<typeof Array>[0][];
  readonly rsa?: 1024 | 2048 | undefined;
};

async function make({ subject, issuer, expired, extensions, rsa }: Make): Promise<Certified> {
  const algorithm = rsa === undefined ? EC : { ...RSA, modulusLength: rsa };
  const keys = (await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])) as webcrypto.CryptoKeyPair;
  const now = Date.now();
  const made = await X509CertificateGenerator.create(
    {
      serialNumber: (serial++).toString(16).padStart(4, '0'),
      subject,
      issuer: issuer?.subject ?? subject,
      notBefore: new Date(now - 30 * DAY),
      notAfter: new Date(expired ? now - DAY : now + 30 * DAY),
      publicKey: keys.publicKey,
      signingKey: issuer?.signingKey ?? keys.privateKey,
      signingAlgorithm: issuer === undefined ? algorithm : algorithmOf(issuer),
      extensions: extensions as never,
    },
    webcrypto as never,
  );
  const key = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64');
  const pem = made.toString('pem');
  return {
    certificate: new X509Certificate(pem),
    subject,
    pem: `${pem}\n`,
    key: `-----BEGIN PRIVATE KEY-----\n${key.replace(/.{64}/g, '$&\n')}\n-----END PRIVATE KEY-----\n`,
    signingKey: keys.privateKey,
  };
}

function algorithmOf({ signingKey }: Certified): { readonly name: string; readonly hash: string } {
  return signingKey.algorithm.name === EC.name ? EC : RSA;
}

/** What a server is told to send: its own certificate first. */
export function served(own: Certified, ...others: readonly Certified[]): { readonly key: string; readonly cert: string } {
  return { key: own.key, cert: [own, ...others].map(({ pem }) => pem).join('') };
}

/** `3 1 1 HEX`: RFC 6698 §2.1. */
export function tlsaOf(usage: number, selector: number, matching: number, { certificate }: Certified): string {
  const whole = selector === 0 ? certificate.raw : certificate.publicKey.export({ type: 'spki', format: 'der' });
  const data =
    matching === 0
      ? whole
      : createHash(matching === 1 ? 'sha256' : 'sha512')
          .update(whole)
          .digest();
  return `${usage} ${selector} ${matching} ${data.toString('hex')}`;
}

/** As the DNS client hands them out. */
export function recordOf(text: string): { usage: number; selector: number; matching: number; data: Buffer } {
  const [usage, selector, matching, data = ''] = text.split(' ');
  return { usage: Number(usage), selector: Number(selector), matching: Number(matching), data: Buffer.from(data, 'hex') };
}
