/** The Subject as people read it, for the trace: encoded words are decoded, and what could harm a terminal is taken out. RFC 2047 §2, §6.2. */
import type { HeaderField } from '../signing/signing.ts';
import { cleanLine } from '../smtp/text.ts';
import { fieldValue } from './header.ts';

const MAX_SUBJECT = 200;
/** Characters of a field that are looked at. The rest of an endless field costs nothing. */
const MAX_READ = 4000;

/** A language may stand behind the charset: RFC 2231 §5. */
const WORD = /=\?([\w.:-]{1,40})(?:\*[\w-]{0,20})?\?([bq])\?([^?\s]{0,2000})\?=/gi;
/** White space between two encoded words says nothing: RFC 2047 §6.2. */
const BETWEEN = /(=\?[^?\s]+\?[bq]\?[^?\s]*\?=)\s+(?==\?[^?\s]+\?[bq]\?)/gi;

/** @returns one line of at most 200 characters and an ellipsis; undefined if there is no Subject, or an empty one. */
export function subjectOf(fields: readonly HeaderField[]): string | undefined {
  const field = fields.find(({ name }) => name === 'subject');
  if (field === undefined) return undefined;
  const value = fieldValue(field.text.length <= MAX_READ ? field : { ...field, text: field.text.slice(0, MAX_READ) }, 'utf8');
  const line = cleanLine(value.includes('=?') ? decodeWords(value) : value, { max: MAX_SUBJECT });
  return line === '' ? undefined : line;
}

/** Words of one charset that touch are decoded together, because some programs cut a character between two of them. */
function decodeWords(text: string): string {
  const pieces: { charset: string; bytes: Buffer[]; end: number }[] = [];
  let decoded = '';
  let end = 0;
  const joined = text.replace(BETWEEN, '$1');
  const flush = () => {
    const piece = pieces.pop();
    if (piece !== undefined) decoded += decodeBytes(piece.charset, Buffer.concat(piece.bytes));
  };
  for (const found of joined.matchAll(WORD)) {
    const [whole, charset = '', encoding = '', content = ''] = found;
    const last = pieces.at(-1);
    const touches = last !== undefined && last.end === found.index && last.charset === charset.toLowerCase();
    if (!touches) flush();
    decoded += joined.slice(end, found.index);
    const bytes = encoding.toLowerCase() === 'b' ? Buffer.from(content, 'base64') : bytesOfQ(content);
    end = found.index + whole.length;
    if (touches) {
      last.bytes.push(bytes);
      last.end = end;
    } else pieces.push({ charset: charset.toLowerCase(), bytes: [bytes], end });
  }
  flush();
  return decoded + joined.slice(end);
}

/** The "Q" encoding: RFC 2047 §4.2. */
function bytesOfQ(content: string): Buffer {
  const plain = content
    .replaceAll('_', ' ')
    .replace(/=([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)));
  return Buffer.from(plain, 'latin1');
}

function decodeBytes(charset: string, bytes: Buffer): string {
  try {
    return new TextDecoder(charset).decode(bytes);
  } catch {
    return bytes.toString('latin1'); // an unknown charset: ASCII can be read at least
  }
}
