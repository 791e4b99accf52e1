/**
 * The fields that we add: Received (RFC 5321 §4.4, with the words of RFC 3848 and RFC 6531 §4.3), and Date and Message-ID where the
 * client wrote none, or none that anybody can read (RFC 6409 §8.2, §8.3).
 */
import { randomInt } from 'node:crypto';
import type { HeaderField } from '../signing/signing.ts';
import { formatDate } from '../smtp/text.ts';
import type { Covered } from './brought-signatures.ts';
import { fieldValue, MAX_LINE, makeField } from './header.ts';
import type { PreparationRequest } from './preparation.ts';

type TraceFacts = {
  readonly hostname: string;
  readonly request: Pick<PreparationRequest, 'queueId' | 'now' | 'envelope' | 'tls' | 'userToken'>;
};

type CompletionFacts = TraceFacts & {
  readonly fields: readonly HeaderField[];
  /** What other signatures cover: to add or replace it would break them. */
  readonly covered: Covered;
};

type Completed = {
  /** Goes in front of everything. */
  readonly received: string;
  /** The fields to put in front of those that stay; none where nothing is missing. */
  readonly added: readonly HeaderField[];
  /** The fields that stay. */
  readonly kept: readonly HeaderField[];
  readonly messageId: string;
};

export function complete(facts: CompletionFacts): Completed {
  const { fields, covered, hostname, request } = facts;
  const lacks = (name: string, isValid: (value: string) => boolean) =>
    !covered.has(name) && !fields.some((field) => field.name === name && isValid(fieldValue(field)));
  const added: HeaderField[] = [];
  if (lacks('date', isDate)) added.push(makeField('Date', formatDate(request.now)));
  if (lacks('message-id', isMessageId)) added.push(makeField('Message-ID', newMessageId(request.queueId, hostname)));
  const isReplaced = ({ name }: HeaderField) => added.some((field) => field.name === name);
  const kept = added.length > 0 && fields.some(isReplaced) ? fields.filter((field) => !isReplaced(field)) : fields;
  return { received: receivedField(facts), added, kept, messageId: messageIdOf(kept) || messageIdOf(added) };
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

/** `<…>` of the Message-ID field, its whole value where there are no brackets, empty without the field; no longer than a line. */
export function messageIdOf(fields: readonly HeaderField[]): string {
  const field = fields.find(({ name }) => name === 'message-id');
  if (field === undefined) return '';
  const value = fieldValue(field);
  const open = value.indexOf('<');
  const close = value.indexOf('>', open);
  return (open === -1 || close === -1 ? value : value.slice(open, close + 1)).slice(0, MAX_LINE);
}

/**
 * The client's address, the name it gave and the login stay out: they are the customer's, and receivers judge by them. So does
 * `for`, which would show a hidden recipient.
 */
function receivedField({ hostname, request }: TraceFacts): string {
  const { queueId, now, envelope, tls, userToken } = request;
  const protocol = `${envelope.smtpUtf8 ? 'UTF8SMTP' : 'ESMTP'}${tls === undefined ? 'A' : 'SA'}`;
  const words = ['Received: by', hostname, 'with', protocol];
  if (tls !== undefined) words.push(`(${plain(tls.protocol.replace('TLSv', 'TLS'))} ${plain(tls.cipher)})`);
  words.push(`id ${queueId}`);
  if (userToken !== undefined) words.push(`(auth ${plain(userToken)})`);
  return fold(words, formatDate(now));
}

const MAX_TRACE_LINE = 77;

/** Lines of less than 78 characters, the date on a line of its own. */
function fold(words: readonly string[], date: string): string {
  let folded = '';
  let line = '';
  for (const word of words) {
    if (line !== '' && line.length + 1 + word.length >= MAX_TRACE_LINE) {
      folded += `${line}\r\n`;
      line = '';
    }
    line += line === '' && folded === '' ? word : ` ${word}`;
  }
  return `${folded}${line};\r\n ${date}\r\n`;
}

const NOT_PLAIN = /[^\w.+/=-]/;

/** What comes from elsewhere cannot end a comment or a line. */
function plain(text: string): string {
  return (NOT_PLAIN.test(text) ? text.replace(/[^\w.+/=-]/g, '') : text).slice(0, 60);
}
