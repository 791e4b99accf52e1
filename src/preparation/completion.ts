/** Date and Message-ID where the client wrote none, or none that anybody can read: RFC 6409 §8.2, §8.3. */
import { randomInt } from 'node:crypto';
import type { HeaderField } from '../signing/signing.ts';
import { formatDate } from '../smtp/text.ts';
import type { Covered } from './brought-signatures.ts';
import { fieldValue } from './header.ts';
import { MAX_LINE } from './mending.ts';

type CompletionFacts = {
  readonly fields: readonly HeaderField[];
  /** What other signatures cover: to add or replace it would break them. */
  readonly covered: Covered;
  readonly queueId: string;
  readonly hostname: string;
  readonly now: number;
};

type Completed = {
  /** The fields that stay. */
  readonly kept: readonly HeaderField[];
  /** The fields to put in front; none where nothing is missing. */
  readonly added: readonly HeaderField[];
};

export function complete({ fields, covered, queueId, hostname, now }: CompletionFacts): Completed {
  const lacks = (name: string, isValid: (value: string) => boolean) =>
    !covered.has(name) && !fields.some((field) => field.name === name && isValid(fieldValue(field)));
  const lacking = new Map<string, HeaderField>();
  if (lacks('date', isDate)) lacking.set('date', makeField('Date', formatDate(now)));
  if (lacks('message-id', isMessageId)) lacking.set('message-id', makeField('Message-ID', newMessageId(queueId, hostname)));
  const added = [...lacking.values()];
  return { kept: fields.some(({ name }) => lacking.has(name)) ? fields.filter(({ name }) => !lacking.has(name)) : fields, added };
}

/** The id in it may become another message's, where the store holds it already: what makes it unique is its own random part. */
export function newMessageId(queueId: string, hostname: string): string {
  const own = randomInt(2 ** 48 - 1)
    .toString(36)
    .padStart(10, '0');
  return `<${queueId}.${own}@${hostname}>`;
}

/** msg-id of RFC 5322 §3.6.4 and §4.5.4, with the UTF-8 of RFC 6532 §3.2 and dots wherever they are, on one line. */
const ATOMS = "[\\w!#$%&'*+/=?^`{|}~.\\x80-\\xff-]+";
const MESSAGE_ID = new RegExp(
  `^(?:\\([^()]*\\)[ \\t]*)?<(?:${ATOMS}|"(?:[^"\\\\\\x00-\\x1f]|\\\\[ -~])+")@(?:${ATOMS}|\\[[!-Z^-~]*\\])>(?:[ \\t]*\\([^()]*\\))?$`,
);
const MAX_MESSAGE_ID = MAX_LINE - 'Message-ID: '.length;

/** @param value in latin1. */
function isMessageId(value: string): boolean {
  return value.length <= MAX_MESSAGE_ID && MESSAGE_ID.test(value);
}

/** date-time of RFC 5322 §3.3 and §4.3, without looking at day names and zones: those do not make it unreadable. */
const DATE =
  /^(?:[a-z]{2,9}\.?,? *)?([0-9]{1,2})[ -]+(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6}[ -]+[0-9]{2,4} +([0-9]{1,2}) *: *([0-9]{2})(?: *: *([0-9]{2}))?(?: +[^ ].*)?$/i;
const MAX_DATE = 200;

/** @param value in latin1. */
function isDate(value: string): boolean {
  if (value.length > MAX_DATE) return false;
  const plain = /[(\t]/.test(value) ? withoutComments(value) : value;
  const [, day = '', hour = '', minute = '', second = '0'] = DATE.exec(plain) ?? [];
  if (day === '') return false;
  return Number(day) >= 1 && Number(day) <= 31 && Number(hour) <= 24 && Number(minute) <= 59 && Number(second) <= 60;
}

function withoutComments(value: string): string {
  return value
    .replace(/\([^()]*\)/g, ' ')
    .replaceAll('\t', ' ')
    .trim();
}

export function makeField(name: string, value: string): HeaderField {
  return { name: name.toLowerCase(), raw: Buffer.from(`${name}: ${value}\r\n`, 'utf8') };
}

/** `<…>` of the Message-ID field, its whole value where there are no brackets, empty without the field; no longer than a line. */
export function messageIdOf(fields: readonly HeaderField[]): string {
  const field = fields.find(({ name }) => name === 'message-id');
  if (field === undefined) return '';
  const value = fieldValue(field);
  const open = value.indexOf('<');
  const close = value.indexOf('>', open);
  return (open === -1 || close === -1 ? value : value.slice(open, close + 1)).slice(0, MAX_LINE);
}
