/** The front door of signing: whether a message is signed, and by which keys (RFC 6376 §5, RFC 8463). Their records and rotation stand beside it. */
import type { Emit } from '../events/events.ts';
import { refusal } from '../smtp/replies.ts';
import type { OperationStore } from '../store/store.ts';
import { createCache } from '../system/cache.ts';
import { type Clock, HOUR } from '../system/clock.ts';
import { signedHeader } from './header-hash.ts';
import { createKeyRing } from './key-ring.ts';
import { makeSignature, signatureTags } from './signature.ts';

export { type BodyForm, type BodyHash, createBodyHash } from './body-hash.ts';
export { createDkimKeys, importDkimKey } from './keys.ts';
export { checkPublished, dkimRecord, lookUpRecord, type PublishedRecord, zoneLine } from './record.ts';
export { startRotation } from './rotation.ts';
export { parseTags } from './tags.ts';

/** One field of a header, as it stands in the message. */
export type HeaderField = {
  /** Lower case, without blanks. */
  readonly name: string;
  /** The whole field in latin1, folds and the closing CRLF included. */
  readonly text: string;
};

type SignRequest = {
  /** Domain of the From field, lower-case A-labels. */
  readonly fromDomain: string;
  /** All fields of the message as it will leave, from top to bottom. */
  readonly fields: readonly HeaderField[];
  /** base64 of a `BodyHash`. */
  readonly bodyHash: string;
  readonly now: number;
};

export type Signed = {
  /** `DKIM-Signature: …` in latin1 with CRLF, once per key; empty where nothing is signed. */
  readonly header: string;
  /** `selector._domainkey.domain` of each signature made. */
  readonly signatures: readonly string[];
};

export type Signer = {
  /**
   * Signs with every key of the From domain, or of the nearest parent that has one, beside whatever signatures are there: RFC
   * 6376 §4.2 foresees several, and whether another one verifies is known to its verifiers alone. No signature without a key.
   * @throws Refusal 550 5.7.20 without a key, by `noKey: refuse`. Any other error (a broken key, a failing store) is ours: 451.
   */
  sign(request: SignRequest): Promise<Signed>;
};

type NoKey = 'send' | 'warn' | 'refuse';

type SignerOptions = {
  readonly operation: Pick<OperationStore, 'dkimKeys'>;
  /** What to do with mail of a domain without a key. */
  readonly noKey: NoKey;
  readonly warn: Emit;
  readonly now?: Clock;
};

const NOTHING: Signed = { header: '', signatures: [] };

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
      const [key] = keys;
      if (keys.length === 1) return { header: await makeSignature(key!, header.canonical, tags), signatures: [key!.name] };
      const made = await Promise.all(keys.map((one) => makeSignature(one, header.canonical, tags)));
      return { header: made.join(''), signatures: keys.map(({ name }) => name) };
    },
    reload(changes) {
      noKey = changes.noKey;
    },
    forget: () => ring.forget(),
  };
}
