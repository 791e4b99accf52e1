/** The authorities whose certificates prove who a host is: RFC 5280 §6. */
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createSecureContext, getCACertificates, type SecureContext, type SecureContextOptions } from 'node:tls';
import { createCache } from './cache.ts';

/** What a context allows besides: for callers that look at a server as another client does. */
type Limits = Pick<SecureContextOptions, 'maxVersion' | 'ciphers'>;

/** Contexts by the operator's roots and by limits. A context has more than a hundred parsed certificates, so callers with the same ones share it. */
const made = createCache<string, SecureContext>(4);

/**
 * Trusts the roots of Node, of the system and in `extra` (PEM). Both lists of roots are used, because one of them may lack a root that a
 * host still needs, and a host that cannot be verified gets no mail.
 * @returns a context for TLS 1.2 and newer. The first call in a process takes a tenth of a second: see `prepareTrust`.
 */
export function trustWith(extra = '', limits: Limits = {}): SecureContext {
  const key = `${limits.maxVersion} ${limits.ciphers} ${extra}`;
  let context = made.get(key);
  if (context === undefined) {
    context = createSecureContext({ minVersion: 'TLSv1.2', ...limits, ca: extra === '' ? readRoots() : [...readRoots(), extra] });
    made.set(key, context);
  }
  return context;
}

/**
 * `trustWith` the certificates in `caFile` (PEM).
 * @throws if `caFile` cannot be read
 */
export function createTrust(caFile: string | undefined): () => SecureContext {
  const extra = caFile === undefined ? '' : readFileSync(caFile, 'utf8');
  return () => trustWith(extra);
}

/** Makes the context now, so that the first host that must prove who it is does not stop all other work. Its first use tells of a failure. */
export function prepareTrust(caFile: string | undefined): void {
  try {
    createTrust(caFile)();
  } catch {} // for example, the file cannot be read: delivery names it
}

/** Each root once. Node and the system write the same certificate with lines of different lengths, and it would be parsed twice. */
function readRoots(): string[] {
  const roots = new Map<string, string>();
  for (const origin of ['bundled', 'system', 'extra'] as const)
    for (const pem of getCACertificates(origin)) roots.set(pem.replace(/\s+/g, ''), pem);
  return [...roots.values()];
}

/** How many roots Node and the system have, and whether one with this common name is among them. It takes some milliseconds. */
export function countRoots(commonName: string): { readonly bundled: number; readonly system: number; readonly has: boolean } {
  const [bundled, system] = [getCACertificates('bundled'), getCACertificates('system')];
  const isIt = (pem: string) => new X509Certificate(pem).subject.split('\n').includes(`CN=${commonName}`);
  return {
    bundled: bundled.length,
    system: system.length,
    has: [...system, ...bundled, ...getCACertificates('extra')].some(isIt),
  };
}
