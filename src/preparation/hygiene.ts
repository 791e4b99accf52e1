/** What a header must look like before it leaves: RFC 5322 §3.6, RFC 6409 §8, and loops by RFC 5321 §6.3. */
import type { HeaderField } from '../signing/signing.ts';
import { refusal } from '../smtp/replies.ts';
import type { Refusal } from '../smtp/reply.ts';
import type { Covered } from './brought-signatures.ts';
import type { HeaderSection } from './header.ts';

/**
 * At most one of each, and of each field that describes the content (RFC 5322 §3.6, RFC 2045 §3): receivers return mail with two,
 * and do not agree on which one counts. A second In-Reply-To or References decides nothing but the order of a thread, and real
 * mail has them.
 */
const UNIQUE: ReadonlyMap<string, string> = new Map([
  ['from', 'From'],
  ['sender', 'Sender'],
  ['reply-to', 'Reply-To'],
  ['to', 'To'],
  ['cc', 'Cc'],
  ['subject', 'Subject'],
  ['date', 'Date'],
  ['message-id', 'Message-ID'],
  ['mime-version', 'MIME-Version'],
]);
const CONTENT = 'content-';
/** Characters of a field's name that a reply shows. */
const MAX_SHOWN = 60;
/** Fields that name hidden recipients, and the one that only the last server writes. */
const REMOVED = new Set(['bcc', 'resent-bcc', 'return-path']);

/** What is wrong with a header. `relaxable`: the operator may choose to be warned only. */
export type HeaderFault = { readonly refusal: Refusal; readonly relaxable: boolean };

const malformed = (refused: Refusal, relaxable = false): HeaderFault => ({ refusal: refused, relaxable });

/** The form of the section and the number of its fields; the worst comes first. */
export function findings({ fields, brokenLine }: HeaderSection): readonly HeaderFault[] {
  if (fields.length === 0) return [malformed(refusal('noHeader'))];
  if (brokenLine !== undefined) return [malformed(refusal('brokenHeader', { line: brokenLine }))];
  const counts = new Map<string, number>();
  for (const { name } of fields) {
    if (UNIQUE.has(name) || name.startsWith(CONTENT)) counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  const found: HeaderFault[] = counts.has('from') ? [] : [malformed(refusal('noFrom'))];
  for (const [name, count] of counts) {
    if (count > 1) found.push(malformed(refusal('severalFields', { field: spelled(name) }), name !== 'from'));
  }
  return found;
}

/** As people write it: `Content-Type`. */
function spelled(name: string): string {
  return UNIQUE.get(name) ?? name.slice(0, MAX_SHOWN).replace(/(?:^|-)[a-z]/g, (start) => start.toUpperCase());
}

/** Several authors and nobody who sent it: RFC 5322 §3.6.2. */
export function missingSender(from: readonly string[], sender: string | undefined): HeaderFault | undefined {
  if (from.length < 2 || sender !== undefined) return undefined;
  return malformed(refusal('noSender'), true);
}

/** @returns a refusal where the message has come round too often. */
export function loopIn(fields: readonly HeaderField[], hostname: string, maxReceived: number): Refusal | undefined {
  const received = fields.filter(({ name }) => name === 'received');
  if (received.length > maxReceived) {
    return refusal('mailLoop', { count: received.length, most: maxReceived });
  }
  if (received.filter((field) => isOurMark(field, hostname)).length < 2) return undefined;
  return refusal('passedTwice', { hostname });
}

/** `Received: … by <hostname> …`, in any case and however folded. */
function isOurMark({ raw }: HeaderField, hostname: string): boolean {
  const text = `${raw
    .toString('latin1')
    .toLowerCase()
    .replace(/[ \t\r\n:;(]+/g, ' ')} `;
  return text.includes(` by ${hostname.toLowerCase()} `);
}

/** The fields that stay: hidden recipients leave with the mail only where a signature covers them. */
export function withoutRemoved(fields: readonly HeaderField[], covered: Covered): readonly HeaderField[] {
  if (!fields.some(({ name }) => REMOVED.has(name))) return fields;
  const held = coveredFields(fields, covered);
  return fields.filter((field) => !REMOVED.has(field.name) || held.has(field));
}

/** Equal names count from the bottom up. */
function coveredFields(fields: readonly HeaderField[], covered: Covered): ReadonlySet<HeaderField> {
  const left = new Map(covered);
  const held = new Set<HeaderField>();
  for (let i = fields.length - 1; i >= 0 && left.size > 0; i--) {
    const field = fields[i]!;
    const count = left.get(field.name) ?? 0;
    if (count === 0) continue;
    held.add(field);
    left.set(field.name, count - 1);
  }
  return held;
}
