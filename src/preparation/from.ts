/** The From field names the authors (RFC 5322 §3.6.2). A credential can prescribe another one, for devices whose sender cannot be set. */
import { isUtf8 } from 'node:buffer';
import type { HeaderField } from '../signing/signing.ts';
import { domainOf } from '../smtp/envelope.ts';
import { type ReplyName, refusal } from '../smtp/replies.ts';
import { type AddressProblem, parseAddressList } from './address-list.ts';
import { fieldValue, makeField, parseHeader } from './header.ts';

export type Author = {
  /** Addresses of the From field, the domains as lower-case A-labels. Never empty. */
  readonly from: readonly string[];
  /** Address of the Sender field. */
  readonly sender?: string;
  /** The envelope has the null reverse-path. */
  readonly nullSender: boolean;
};

/** What is wrong, and what to do about it: the end of a sentence that begins with the field. */
const PROBLEMS = {
  syntax: 'authorSyntax',
  'not closed': 'authorNotClosed',
  comma: 'authorComma',
  colon: 'authorColon',
  route: 'authorRoute',
  'at sign': 'authorAtSign',
  parenthesis: 'authorParenthesis',
  brackets: 'authorBrackets',
  encoded: 'authorEncoded',
  'look-alike': 'authorLookAlike',
} as const satisfies Readonly<Record<AddressProblem, ReplyName>>;

/**
 * @throws Refusal 550 5.6.0 where From or Sender holds no address that all read alike, where Sender holds several, or where From holds
 * several and there is no Sender: RFC 5322 §3.6.2.
 */
export function authorOf(fields: readonly HeaderField[], reversePath: string): Author {
  const from = addressesOf(fields, 'from', 'From');
  const sender = addressesOf(fields, 'sender', 'Sender');
  if (from === undefined) throw refusal('noFrom');
  const [first, second] = sender ?? [];
  if (second !== undefined) throw refusal('severalSenders');
  const nullSender = reversePath === '';
  if (first !== undefined) return { from, nullSender, sender: first };
  if (from.length > 1) throw refusal('noSender');
  return { from, nullSender };
}

/** The domains of the From field, lower-case. Empty where it cannot be read. @param bytes a message, or its beginning with the whole header. */
export function fromDomainsOf(bytes: Uint8Array): readonly string[] {
  const whole = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = whole.indexOf('\r\n\r\n');
  try {
    const { fields } = parseHeader(end < 0 ? whole : whole.subarray(0, end + 2));
    return authorOf(fields, '').from.map(domainOf);
  } catch {
    return [];
  }
}

function addressesOf(fields: readonly HeaderField[], name: string, spelled: string): readonly string[] | undefined {
  const field = fields.find((one) => one.name === name);
  if (field === undefined) return undefined;
  const parsed = parseAddressList(fieldValue(field, 'utf8'));
  if (typeof parsed === 'string') throw refusal(PROBLEMS[parsed], { field: spelled });
  if (parsed.length === 0) throw refusal(PROBLEMS.syntax, { field: spelled });
  return parsed.map(({ address }) => address);
}

/**
 * Keeps one of several From fields, adds a missing one, and removes the fields that name another sender (Sender and the Resent fields).
 * @returns the fields with `address` as the only author, its display name kept.
 */
export function rewriteFrom(fields: readonly HeaderField[], address: string): readonly HeaderField[] {
  const from = fields.find(({ name }) => name === 'from');
  const kept = fields.filter((field) => field === from || !namesSender(field));
  if (from === undefined) return [...kept, makeField('From', address)];
  return kept.map((field) => (field === from ? makeField('From', rewritten(field, address)) : field));
}

function namesSender({ name }: HeaderField): boolean {
  return name === 'from' || name === 'sender' || name.startsWith('resent-');
}

function rewritten(field: HeaderField, address: string): string {
  const name = nameIn(fieldValue(field, isUtf8(Buffer.from(field.text, 'latin1')) ? 'utf8' : 'latin1'));
  if (name === '') return address;
  return NEEDS_ENCODING.test(name) ? `${encodedWords(plain(name))}\r\n <${address}>` : `${name} <${address}>`;
}

/** The name before the address, as written; the address itself may be none, as devices have it: `Scanner <scanner>`. */
function nameIn(text: string): string {
  for (const list of [text, `${text.slice(0, Math.max(0, text.lastIndexOf('<')))}<a@example.org>`]) {
    const parsed = parseAddressList(list);
    if (typeof parsed !== 'string' && parsed.length > 0) return parsed[0]!.phrase;
  }
  return '';
}

/** What is not printable ASCII, or is too long for a line. */
const NEEDS_ENCODING = /[^\t -~]|[^\t ]{900}/;

/** What the quotes and backslashes say. */
function plain(name: string): string {
  return name.replace(/"((?:[^"\\]|\\.)*)"/gs, (_, quoted: string) => quoted.replace(/\\(.)/gs, '$1'));
}

/** Octets in one encoded word: with its frame and the field's name a line has 76 characters at most. */
const MAX_ENCODED = 42;

/** RFC 2047 §2, §4.1: words of whole characters, one a line. */
function encodedWords(text: string): string {
  const words: string[] = [];
  let word = '';
  for (const char of text) {
    if (Buffer.byteLength(word + char) > MAX_ENCODED) {
      words.push(word);
      word = '';
    }
    word += char;
  }
  return [...words, word].map((one) => `=?UTF-8?B?${Buffer.from(one).toString('base64')}?=`).join('\r\n ');
}
