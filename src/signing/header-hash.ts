/** Which fields a signature covers, and their relaxed form: RFC 6376 §3.4.2, §5.4. */
import type { HeaderField } from './signing.ts';

/**
 * Signed once more than they are present, so that none can be added on the way: RFC 6376 §8.15. With the next list it is what
 * RFC 6376 §5.4.1 calls the core of a message, but for what servers between us and a verifier remove or write anew, though the
 * text stays the same:
 * - Content-Length: Postfix (`message_drop_headers`) and Sendmail remove it; so only fields that are named here are signed, not
 *   all of `Content-`. Content-Language is what Exchange writes.
 * - Sender: mailing lists put themselves in (Mailman's `include_sender_header`), and Exim removes it from local mail.
 * - Resent fields: the header firewall of Exchange removes them.
 * - Received, Return-Path, Bcc, Delivered-To, Authentication-Results, Status, and X- fields: filters and mailboxes own them.
 */
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
const PLACES: ReadonlyMap<string, number> = new Map(OVERSIGNED.map((name, place) => [name, place]));

/**
 * Signed as often as they are present: List-Unsubscribe and its Post by RFC 8058 §4, the fields of TLS reports by RFC 8460 §5.3,
 * Feedback-ID as Gmail wants it.
 */
const SIGNED_IF_PRESENT: ReadonlySet<string> = new Set([
  'in-reply-to',
  'references',
  'auto-submitted',
  'autocrypt',
  'feedback-id',
  'content-description',
  'content-disposition',
  'content-id',
  'content-location',
  'list-archive',
  'list-help',
  'list-id',
  'list-owner',
  'list-post',
  'list-subscribe',
  'list-unsubscribe',
  'list-unsubscribe-post',
  'tls-report-domain',
  'tls-report-submitter',
  'tls-required',
]);

const NO_FIELDS: readonly HeaderField[] = [];

/** Bounds for a header of thousands of such fields, which must not become a signature of the same size: of one name, of the others. */
const MAX_SAME = 8;
const MAX_OTHERS = 32;

export type SignedHeader = {
  /** The value of `h=`. */
  readonly names: readonly string[];
  /** The fields in that order, canonical, each with CRLF: what is hashed before the DKIM-Signature itself. latin1. */
  readonly canonical: string;
};

/**
 * Chooses and canonicalises. Equal names are taken from the bottom up: RFC 6376 §5.4.2. Where a bound is reached, the fields
 * above are not signed.
 */
export function signedHeader(fields: readonly HeaderField[]): SignedHeader {
  /** By the place of their name. */
  const oversigned = new Array<HeaderField[] | undefined>(OVERSIGNED.length);
  const others: HeaderField[] = [];
  for (let i = fields.length - 1; i >= 0; i--) {
    const field = fields[i]!;
    const place = PLACES.get(field.name);
    if (place === undefined) {
      if (SIGNED_IF_PRESENT.has(field.name) && others.length < MAX_OTHERS) others.push(field);
      continue;
    }
    const same = oversigned[place];
    if (same === undefined) oversigned[place] = [field];
    else if (same.length <= MAX_SAME) same.push(field);
  }
  const names: string[] = [];
  let canonical = '';
  for (let place = 0; place < OVERSIGNED.length; place++) {
    const name = OVERSIGNED[place]!;
    const same = oversigned[place] ?? NO_FIELDS;
    // One name more than there are fields; where there is a field more than are signed, that would be its name.
    for (let i = 0; i <= same.length && i < MAX_SAME + 1; i++) {
      const field = same[i];
      if (i === MAX_SAME && field !== undefined) break;
      names.push(name);
      if (field !== undefined) canonical += relaxField(field);
    }
  }
  for (const field of others) {
    names.push(field.name);
    canonical += relaxField(field);
  }
  return { names, canonical };
}

/** `name:value` with CRLF: unfolded, each run of blanks one space, none at either end of the value. */
export function relaxField({ name, text }: HeaderField): string {
  return `${name}:${relaxValue(text.slice(text.indexOf(':') + 1, -2))}\r\n`;
}

/** Every CRLF inside a field stands before a blank, so it may be taken as a part of that run. */
export function relaxValue(value: string): string {
  const single = NEEDS_RELAXING.test(value) ? value.replace(/[ \t\r\n]+/g, ' ') : value;
  const from = single.startsWith(' ') ? 1 : 0;
  const to = single.length > from && single.endsWith(' ') ? single.length - 1 : single.length;
  return single.slice(from, to);
}
const NEEDS_RELAXING = /[\t\r]| {2}/;
