/** Which fields a signature covers, and their relaxed form: RFC 6376 §3.4.2, §5.4. */
import type { HeaderField } from './sign-request.ts';

/** Signed once more than they are present, so that none can be added on the way: RFC 6376 §8.15. */
const OVERSIGNED = [
  'from',
  'to',
  'cc',
  'subject',
  'date',
  'message-id',
  'reply-to',
  'mime-version',
  'content-type',
  'content-transfer-encoding',
] as const;

/** Signed as often as they are present. */
const SIGNED_IF_PRESENT = new Set([
  'sender',
  'in-reply-to',
  'references',
  'auto-submitted',
  'autocrypt',
  'feedback-id',
  'resent-date',
  'resent-from',
  'resent-sender',
  'resent-to',
  'resent-cc',
  'resent-message-id',
]);
/** `List-Unsubscribe` and its kin, and what describes the body besides the oversigned fields. */
const SIGNED_FAMILIES = ['list-', 'content-'];
/** A header of thousands of list fields must not become a signature of the same size. */
const MAX_OTHERS = 64;

export type SignedHeader = {
  /** The value of `h=`. */
  readonly names: readonly string[];
  /** The fields in that order, canonical, each with CRLF: what is hashed before the DKIM-Signature itself. latin1. */
  readonly canonical: string;
};

/** Chooses and canonicalises. Equal names are taken from the bottom up: RFC 6376 §5.4.2. */
export function signedHeader(fields: readonly HeaderField[]): SignedHeader {
  const oversigned = new Map<string, HeaderField[]>(OVERSIGNED.map((name) => [name, []]));
  const others: HeaderField[] = [];
  for (let i = fields.length - 1; i >= 0; i--) {
    const field = fields[i]!;
    const same = oversigned.get(field.name);
    if (same !== undefined) same.push(field);
    else if (isSigned(field.name) && others.length < MAX_OTHERS) others.push(field);
  }
  const names: string[] = [];
  let canonical = '';
  for (const [name, same] of oversigned) {
    for (const field of same) {
      names.push(name);
      canonical += relaxField(field);
    }
    names.push(name);
  }
  for (const field of others) {
    names.push(field.name);
    canonical += relaxField(field);
  }
  return { names, canonical };
}

function isSigned(name: string): boolean {
  return SIGNED_IF_PRESENT.has(name) || SIGNED_FAMILIES.some((family) => name.startsWith(family));
}

/** `name:value` with CRLF: unfolded, each run of blanks one space, none at either end of the value. */
export function relaxField({ name, raw }: HeaderField): string {
  const value = raw.toString('latin1', raw.indexOf(0x3a) + 1, raw.length - 2);
  return `${name}:${relaxValue(value)}\r\n`;
}

/** Every CRLF inside a field stands before a blank, so it may be taken as a part of that run. */
export function relaxValue(value: string): string {
  const single = NEEDS_RELAXING.test(value) ? value.replace(/[ \t\r\n]+/g, ' ') : value;
  const from = single.startsWith(' ') ? 1 : 0;
  const to = single.length > from && single.endsWith(' ') ? single.length - 1 : single.length;
  return single.slice(from, to);
}
const NEEDS_RELAXING = /[\t\r]| {2}/;
