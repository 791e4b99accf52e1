/** Date and Message-ID where the client wrote none: RFC 6409 §8.2, §8.3. */
import type { HeaderField } from '../signing/signing.ts';
import { fieldValue } from './header.ts';

export type CompletionFacts = {
  readonly fields: readonly HeaderField[];
  /** Names that another signature covers: to add one of these would break it. */
  readonly covered: ReadonlySet<string>;
  readonly queueId: string;
  readonly hostname: string;
  readonly now: number;
};

/** The fields to put in front; none where nothing is missing. */
export function missingFields({ fields, covered, queueId, hostname, now }: CompletionFacts): readonly HeaderField[] {
  const has = (name: string) => covered.has(name) || fields.some((field) => field.name === name);
  const added: HeaderField[] = [];
  if (!has('date')) added.push(makeField('Date', formatDate(now)));
  if (!has('message-id')) added.push(makeField('Message-ID', `<${queueId}@${hostname}>`));
  return added;
}

export function makeField(name: string, value: string): HeaderField {
  return { name: name.toLowerCase(), raw: Buffer.from(`${name}: ${value}\r\n`, 'utf8') };
}

/** RFC 5322 §3.3, in UTC: where the relay stands is nobody's business. */
export function formatDate(now: number): string {
  return new Date(now).toUTCString().replace('GMT', '+0000');
}

/** `<…>` of the Message-ID field, its whole value where there are no brackets, empty without the field. */
export function messageIdOf(fields: readonly HeaderField[]): string {
  const field = fields.find(({ name }) => name === 'message-id');
  if (field === undefined) return '';
  const value = fieldValue(field);
  const open = value.indexOf('<');
  const close = value.indexOf('>', open);
  return open === -1 || close === -1 ? value : value.slice(open, close + 1);
}
