/** Decides whether a message is signed, and by which keys: RFC 6376 §5. */
import { refusal } from '../smtp/replies.ts';
import { createCache } from '../system/cache.ts';
import { HOUR } from '../system/clock.ts';
import { signedHeader } from './header-hash.ts';
import { createKeyRing } from './key-ring.ts';
import type { NoKey, Signed, Signer, SignerOptions } from './sign-request.ts';
import { makeSignature, signatureTags } from './signature.ts';

const NOTHING: Signed = { header: Buffer.alloc(0), signatures: [] };

/** `forget` after keys were changed by this process; others' changes are seen within 2 s. */
export function createSigner(options: SignerOptions): Signer & { reload(changes: { noKey: NoKey }): void; forget(): void } {
  let { noKey } = options;
  const ring = createKeyRing(options);
  const warned = createCache<string, true>(1000, HOUR);

  function unsigned(domain: string): Signed {
    if (noKey === 'refuse') {
      throw refusal('noKey', { domain });
    }
    if (noKey === 'warn' && !warned.has(domain)) {
      warned.set(domain, true);
      options.warn('unsigned', { domain, reason: 'no active DKIM key' });
    }
    return NOTHING;
  }

  return {
    async sign(request) {
      const found = ring.keysFor(request.fromDomain);
      const keys = found instanceof Promise ? await found : found;
      if (keys.length === 0) return unsigned(request.fromDomain);
      // With a second From ours would vouch for the wrong one.
      if (request.fields.filter(({ name }) => name === 'from').length !== 1) return NOTHING;
      const header = signedHeader(request.fields);
      const tags = signatureTags({ header, bodyHash: request.bodyHash, now: request.now });
      const made = await Promise.all(keys.map((key) => makeSignature(key, header.canonical, tags)));
      return { header: Buffer.from(made.join(''), 'latin1'), signatures: keys.map(({ name }) => name) };
    },
    reload(changes) {
      noKey = changes.noKey;
    },
    forget: () => ring.forget(),
  };
}
