/** Signatures that a message brought along, and what they forbid us to touch: RFC 6376 §3.5, §6.1.1, RFC 8617 §4.1.2. */
import { type BodyForm, type BodyHash, createBodyHash, type HeaderField, parseTags } from '../signing/signing.ts';
import { toAsciiDomain } from '../smtp/domain.ts';
import { fieldValue } from './header.ts';

/** A DKIM-Signature or ARC-Message-Signature that a verifier could take, as far as its own words tell. */
type BroughtSignature = {
  /** The domain of a DKIM signature, in lower-case A-labels. Undefined for ARC, which proves nothing about From. */
  readonly domain: string | undefined;
  /** How often it names each field, in lower case. */
  readonly names: ReadonlyMap<string, number>;
  readonly form: BodyForm;
  /** base64 */
  readonly bodyHash: string;
};

/** Lower-case names, and how many fields of each are signed, from the bottom up: RFC 6376 §5.4.2. */
export type Covered = ReadonlyMap<string, number>;
const NOTHING_COVERED: Covered = new Map();
export const NOTHING_BROUGHT = { covered: NOTHING_COVERED, domains: [] as readonly string[] } as const;

/** Signatures and forms of the body beyond which a header is no honest one. */
const MAX_SIGNATURES = 32;
const MAX_FORMS = 8;

/** @param now milliseconds since the epoch. @returns undefined where the message brought none. */
export function readBrought(fields: readonly HeaderField[], now: number): BroughtSignatures | undefined {
  const found: BroughtSignature[] = [];
  for (const field of fields) {
    if (field.name !== 'dkim-signature' && field.name !== 'arc-message-signature') continue;
    const signature = readSignature(field, now);
    if (signature !== undefined) found.push(signature);
    if (found.length === MAX_SIGNATURES) break;
  }
  return found.length > 0 ? new BroughtSignatures(found) : undefined;
}

/** @returns undefined where every verifier discards it: a tag is missing, it uses SHA-1, it has ended, its domain is not one that can be owned. */
function readSignature(field: HeaderField, now: number): BroughtSignature | undefined {
  const tags = parseTags(fieldValue(field));
  const tag = (name: string) => tags.get(name) ?? '';
  if (field.name === 'dkim-signature' ? tag('v') !== '1' : !/^\d+$/.test(tag('i'))) return undefined;
  if (!/^(?:rsa|ed25519)-sha256$/i.test(tag('a')) || tag('s') === '' || !/^[\w+/]+=*$/.test(tag('b'))) return undefined;
  const by = toAsciiDomain(tag('d'));
  if (by?.includes('.') !== true || hasEnded(tags.get('x'), now)) return undefined;
  const names = countNames(tag('h'));
  const form = readForm(tags);
  if (form === undefined || (field.name === 'dkim-signature' && !names.has('from'))) return undefined;
  return { domain: field.name === 'dkim-signature' ? by : undefined, names, form, bodyHash: tag('bh') };
}

function hasEnded(expiry: string | undefined, now: number): boolean {
  return expiry !== undefined && !(Number(expiry) * 1000 > now);
}

function countNames(list: string): ReadonlyMap<string, number> {
  const names = new Map<string, number>();
  for (const name of list.toLowerCase().split(':')) names.set(name, (names.get(name) ?? 0) + 1);
  return names;
}

function readForm(tags: ReadonlyMap<string, string>): BodyForm | undefined {
  const [header, body = 'simple', ...more] = (tags.get('c') ?? 'simple').toLowerCase().split('/');
  if ((header !== 'relaxed' && header !== 'simple') || (body !== 'relaxed' && body !== 'simple') || more.length > 0)
    return undefined;
  const limit = tags.get('l');
  if (limit === undefined) return { canonicalization: body };
  return /^\d{1,15}$/.test(limit) ? { canonicalization: body, limit: Number(limit) } : undefined;
}

/** Those of one message. Takes the body along, in each form that they speak of but the one that we hash for ours anyway. */
export class BroughtSignatures {
  readonly #signatures: readonly BroughtSignature[];
  readonly #hashes = new Map<string, BodyHash>();

  constructor(signatures: readonly BroughtSignature[]) {
    this.#signatures = signatures;
    for (const { form } of signatures) {
      const key = keyOf(form);
      if (key === OURS || this.#hashes.has(key) || this.#hashes.size === MAX_FORMS) continue;
      this.#hashes.set(key, createBodyHash(form));
    }
  }

  update(piece: Buffer): void {
    for (const hash of this.#hashes.values()) hash.update(piece);
  }

  /**
   * Ends the hashes. @param ours base64 of the relaxed body.
   * @returns what the signatures that fit the body cover together, and the domains of those of DKIM.
   */
  fitting(ours: string): { readonly covered: Covered; readonly domains: readonly string[] } {
    const digests = new Map([[OURS, ours]]);
    for (const [key, hash] of this.#hashes) digests.set(key, hash.digest());
    const covered = new Map<string, number>();
    const domains = new Set<string>();
    for (const { domain, names, form, bodyHash } of this.#signatures) {
      if (digests.get(keyOf(form)) !== bodyHash) continue;
      if (domain !== undefined) domains.add(domain);
      for (const [name, count] of names) covered.set(name, Math.max(count, covered.get(name) ?? 0));
    }
    return { covered, domains: [...domains] };
  }
}

const keyOf = ({ canonicalization, limit }: BodyForm) => `${canonicalization} ${limit ?? ''}`;
const OURS = keyOf({ canonicalization: 'relaxed' });
