/** A self-signed certificate and its key in memory. A client that trusts the certificate as an authority can verify it. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeCertificate } from './test-certificate.ts';

export type Pair = { readonly key: string; readonly cert: string };

/** @param name in the certificate, beside 127.0.0.1. */
export async function makePair(name = 'mx0.good.test'): Promise<Pair> {
  const folder = await mkdtemp(join(tmpdir(), 'pair-'));
  try {
    const { certificate, key } = await makeCertificate(folder, name);
    return { key: await readFile(key, 'utf8'), cert: await readFile(certificate, 'utf8') };
  } finally {
    await rm(folder, { recursive: true });
  }
}
