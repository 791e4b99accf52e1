/** The authorities whose certificates prove who a host is: RFC 5280 §6. */
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createSecureContext, getCACertificates, type SecureContext } from 'node:tls';
import { createCache } from './cache.ts';

/** Contexts by the operator's roots. A context has more than a hundred parsed certificates, so callers with the same roots share it. */
const made = createCache<string, SecureContext>(4);

/**
 * Trusts the roots of Node, of the system and in `caFile` (PEM). Both lists of roots are used, because one of them may lack a root that a
 * host still needs, and a host that cannot be verified gets no mail.
 * @returns a context for TLS 1.2 and newer. It is made at its first use, which takes a tenth of a second.
 * @throws if `caFile` cannot be read
 */
export function createTrust(caFile: string | undefined): () => SecureContext {
  const extra = caFile === undefined ? '' : readFileSync(caFile, 'utf8');
  return () => {
    let context = made.get(extra);
    if (context === undefined) {
      const roots = new Set([...getCACertificates('bundled'), ...getCACertificates('system'), ...getCACertificates('extra')]);
      context = createSecureContext({ minVersion: 'TLSv1.2', ca: extra === '' ? [...roots] : [...roots, extra] });
      made.set(extra, context);
    }
    return context;
  };
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
