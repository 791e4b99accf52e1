/** Certificates for tests: self-signed by openssl, good for a day. */
import { join } from 'node:path';
import { mustRun } from './program.ts';

export type CertificateFiles = { readonly certificate: string; readonly key: string };

const KEY = { ec: ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'], rsa: ['-newkey', 'rsa:2048'] } as const;

/** Writes `<name>-<keyType>.crt` and `.key` into the folder; clients may take the certificate as its own authority. */
export async function makeCertificate(folder: string, name: string, keyType: 'ec' | 'rsa' = 'ec'): Promise<CertificateFiles> {
  const certificate = join(folder, `${name}-${keyType}.crt`);
  const key = join(folder, `${name}-${keyType}.key`);
  const subject = ['-subj', `/CN=${name}`, '-addext', `subjectAltName=DNS:${name},IP:127.0.0.1`];
  await mustRun('openssl', [
    'req',
    '-x509',
    '-nodes',
    '-days',
    '1',
    ...KEY[keyType],
    ...subject,
    '-out',
    certificate,
    '-keyout',
    key,
  ]);
  return { certificate, key };
}
