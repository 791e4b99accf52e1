/**
 * What is decided about the header of a message, in two steps. Whether it may be sent is known when it has come: RFC 5322 §3.6,
 * RFC 6409 §8, and loops by RFC 5321 §6.3. How it leaves is known when the body has come too, since a signature that the message
 * brought along is believed only where it fits the body.
 */
import { isAscii } from 'node:buffer';
import type { HeaderField } from '../signing/signing.ts';
import { domainOf } from '../smtp/envelope.ts';
import { refusal } from '../smtp/replies.ts';
import { oneLine } from '../smtp/text.ts';
import { type BroughtSignatures, type Covered, NOTHING_BROUGHT, readBrought } from './brought-signatures.ts';
import { complete, messageIdOf } from './completion.ts';
import { type Author, authorOf, rewriteFrom } from './from.ts';
import { fieldValue, type HeaderSection, mendField, parseHeader } from './header.ts';
import type { PreparationOptions, PreparationRequest } from './preparation.ts';
import { subjectOf } from './subject.ts';

export type HeaderDraft = {
  readonly fromDomain: string;
  /** Of all addresses in From. */
  readonly fromDomains: readonly string[];
  /** Signatures that may turn out to fit the body, which they want to see. */
  readonly brought: BroughtSignatures | undefined;
  /** @param bodyHash base64 of the relaxed body. */
  finish(bodyHash: string): PreparedHeader;
};

export type PreparedHeader = {
  /** Received, in latin1: goes in front of everything. */
  readonly received: string;
  /** Fields that we add; they are signed like the client's. */
  readonly added: readonly HeaderField[];
  /** The client's fields that stay, and their bytes. */
  readonly kept: readonly HeaderField[];
  readonly section: Buffer;
  readonly messageId: string;
  readonly ascii: boolean;
  readonly tlsOptional: boolean;
  readonly automatic: boolean;
  /** For the trace. */
  readonly subject?: string;
  /** The domains of DKIM signatures that it brought, and that fit the body. */
  readonly broughtBy: readonly string[];
};

/** RFC 5321 §6.3 wants at least 100: mail with fewer has come a long way, but not in a loop. */
const MAX_RECEIVED = 100;

/** @throws Refusal where the header, or its author, is not fit to be sent. */
export function draftHeader(bytes: Buffer, request: PreparationRequest, options: PreparationOptions): HeaderDraft {
  const parsed = parseHeader(bytes);
  return request.kind === 'report' ? draftOwn(bytes, parsed, request) : draftSubmitted(bytes, parsed, request, options);
}

/** Our own message is as we want it; one that is not is our mistake, never a Refusal. */
function draftOwn(section: Buffer, { fields, brokenLine }: HeaderSection, { envelope }: PreparationRequest): HeaderDraft {
  if (brokenLine !== undefined) throw new Error(`Line ${brokenLine} of our own report is not a header field`);
  let author: Author;
  try {
    author = authorOf(fields, envelope.reversePath);
  } catch (cause) {
    throw new Error('Our own report has no valid From', { cause });
  }
  return {
    fromDomain: fromDomainOf(author),
    fromDomains: author.from.map(domainOf),
    brought: undefined,
    finish: () => ({
      ...{ received: '', added: [], kept: fields, section, messageId: messageIdOf(fields) },
      ...{ ascii: isAscii(section), tlsOptional: false, automatic: true, broughtBy: [] },
    }),
  };
}

const fromDomainOf = ({ from }: Author) => domainOf(from[0]!);

function draftSubmitted(
  bytes: Buffer,
  parsed: HeaderSection,
  request: PreparationRequest,
  options: PreparationOptions,
): HeaderDraft {
  const { queueId, now, envelope, check, rewrite } = request;
  const rewrites = rewrite !== undefined && parsed.fields.length > 0;
  const fields = rewrites ? rewriteFrom(parsed.fields, rewrite) : parsed.fields;
  checkForm({ ...parsed, fields }, options.hostname);
  const author = rewrites ? { from: [rewrite], nullSender: envelope.reversePath === '' } : authorOf(fields, envelope.reversePath);
  check?.(author);
  const tlsOptional = isTlsOptional(fields, queueId, options);
  const automatic = isAutomatic(fields);
  const subject = options.keepSubject ? subjectOf(fields) : undefined;
  // Every signature covers From: a new one breaks them all.
  const brought = rewrites ? undefined : readBrought(fields, now);
  return {
    fromDomain: fromDomainOf(author),
    fromDomains: author.from.map(domainOf),
    brought,
    finish(bodyHash) {
      const { covered, domains: broughtBy } = brought?.fitting(bodyHash) ?? NOTHING_BROUGHT;
      const allowed = withoutRemoved(fields, covered);
      const completed = complete({ fields: allowed, covered, hostname: options.hostname, request });
      const { received, added, messageId } = completed;
      const kept = covered.size === 0 && (parsed.mendable || rewrites) ? completed.kept.map(mendField) : completed.kept;
      const section = kept === parsed.fields ? bytes : Buffer.from(kept.map(({ text }) => text).join(''), 'latin1');
      const ascii = isAscii(section);
      const header = { received, added, kept, section, messageId, ascii, tlsOptional, automatic, broughtBy };
      return subject === undefined ? header : { ...header, subject };
    },
  };
}

/** RFC 3834 §5. A comment or a parameter may follow the word. */
function isAutomatic(fields: readonly HeaderField[]): boolean {
  const field = fields.find(({ name }) => name === 'auto-submitted');
  return field !== undefined && !/^no\b/i.test(fieldValue(field).trim());
}

/** True for one field `TLS-Required: No`. Two of them, or another value, say nothing: RFC 8689 §3. */
function isTlsOptional(
  fields: readonly HeaderField[],
  queueId: string,
  { tlsRequiredNo, warn }: Pick<PreparationOptions, 'tlsRequiredNo' | 'warn'>,
): boolean {
  const values = fields.filter(({ name }) => name === 'tls-required').map((field) => fieldValue(field).trim());
  if (values.length === 0) return false;
  if (values.length === 1 && values[0]!.toLowerCase() === 'no') return tlsRequiredNo !== 'ignore';
  warn?.('tlsRequiredIgnored', { queueId, value: oneLine(values.join(', ')).slice(0, MAX_SHOWN) });
  return false;
}

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

/** Judges whether the message runs in a loop, the form of the section, and the number of its fields. @throws Refusal the worst of them. */
export function checkForm({ fields, brokenLine }: HeaderSection, hostname: string): void {
  checkForLoop(fields, hostname);
  if (fields.length === 0) throw refusal('noHeader');
  if (brokenLine !== undefined) throw refusal('brokenHeader', { line: brokenLine });
  const seen = new Set<string>();
  let several: Set<string> | undefined;
  for (const { name } of fields) {
    if (!UNIQUE.has(name) && !name.startsWith(CONTENT)) continue;
    if (seen.has(name)) (several ??= new Set()).add(name);
    else seen.add(name);
  }
  if (!seen.has('from')) throw refusal('noFrom');
  if (several === undefined) return;
  for (const name of seen) if (several.has(name)) throw refusal('severalFields', { field: spelled(name) });
}

/** As people write it: `Content-Type`. */
function spelled(name: string): string {
  return UNIQUE.get(name) ?? name.slice(0, MAX_SHOWN).replace(/(?:^|-)[a-z]/g, (start) => start.toUpperCase());
}

/** @throws Refusal where the message has passed too many servers, or this one too often. */
function checkForLoop(fields: readonly HeaderField[], hostname: string): void {
  const received = fields.filter(({ name }) => name === 'received');
  if (received.length > MAX_RECEIVED) throw refusal('mailLoop', { count: received.length, most: MAX_RECEIVED });
  if (received.filter((field) => isOurMark(field, hostname)).length >= 2) throw refusal('passedTwice', { hostname });
}

/** `Received: … by <hostname> …`, in any case and however folded. */
function isOurMark({ text }: HeaderField, hostname: string): boolean {
  const words = `${text.toLowerCase().replace(/[ \t\r\n:;(]+/g, ' ')} `;
  return words.includes(` by ${hostname.toLowerCase()} `);
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
