/** Decides whether a message is signed, and by which keys: RFC 6376 §5. */
import { Refusal } from '../smtp/reply.ts';
import { createCache } from '../system/cache.ts';
import { HOUR } from '../system/clock.ts';
import { signedHeader } from './header-hash.ts';
import { createKeyRing } from './key-ring.ts';
import type { HeaderField, NoKey, Signed, Signer, SignerOptions, SignRequest } from './sign-request.ts';
import { makeSignature, signatureTags } from './signature.ts';
import { parseTags } from './tags.ts';

const NOTHING: Signed = { header: Buffer.alloc(0), signatures: [] };

/** `forget` after keys were changed by this process; others' changes are seen within 2 s. */
export function createSigner(options: SignerOptions): Signer & { reload(changes: { noKey: NoKey }): void; forget(): void } {
  let { noKey } = options;
  const ring = createKeyRing(options);
  const warned = createCache<string, true>(1000, HOUR);

  function unsigned(domain: string): Signed {
    if (noKey === 'refuse') {
      throw new Refusal(550, '5.7.20', `No DKIM key for ${domain}: this server sends only mail that it can sign`);
    }
    if (noKey === 'warn' && !warned.has(domain)) {
      warned.set(domain, true);
      options.warn('unsigned', { domain, reason: 'no active DKIM key' });
    }
    return NOTHING;
  }

  return {
    async sign(request) {
      if (mustStayAsItIs(request)) return NOTHING;
      const found = ring.keysFor(request.fromDomain);
      const keys = found instanceof Promise ? await found : found;
      if (keys.length === 0) return unsigned(request.fromDomain);
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

/** An aligned signature is enough, and a second From would make ours vouch for the wrong one. */
function mustStayAsItIs({ fields, fromDomain }: SignRequest): boolean {
  let authors = 0;
  for (const field of fields) {
    if (field.name === 'from') authors++;
    else if (field.name === 'dkim-signature' && isAligned(field, fromDomain)) return true;
  }
  return authors !== 1;
}

/** Relaxed alignment: RFC 7489 §3.1.1, without a list of public suffixes (nobody can sign for one). */
function isAligned(field: HeaderField, fromDomain: string): boolean {
  const domain = parseTags(field.raw.toString('latin1', field.raw.indexOf(0x3a) + 1))
    .get('d')
    ?.toLowerCase();
  if (domain === undefined || domain === '') return false;
  return domain === fromDomain || fromDomain.endsWith(`.${domain}`) || domain.endsWith(`.${fromDomain}`);
}
