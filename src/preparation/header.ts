/** A header section cut into its fields, every byte kept (RFC 5322 §2.2), and the form of a field that every server takes (§2.1.1, §2.2.3). */
import type { HeaderField } from '../signing/signing.ts';

/** Octets of a line without its CRLF: what it must not exceed, and what it should not. */
export const MAX_LINE = 998;
const GOOD_LINE = 78;

export type HeaderSection = {
  readonly fields: readonly HeaderField[];
  /** Number of the first line that is no field, from 1; undefined where all are. */
  readonly brokenLine?: number;
  /** A field has a form that not every server takes: `mendField` has work. */
  readonly mendable: boolean;
};

/** Printable ASCII but the colon, then perhaps blanks: RFC 5322 §2.2, §4.5. */
const FIELD_NAME = /^[!-9;-~]+[ \t]*$/;
const MAX_LINE_WITH_END = MAX_LINE + 2;

/** @param section lines that all end with CRLF. Takes linear time. */
export function parseHeader(section: Buffer): HeaderSection {
  const text = section.toString('latin1');
  const fields: HeaderField[] = [];
  let mendable = false;
  let start = 0;
  while (start < text.length) {
    let end = text.indexOf('\r\n', start) + 2;
    const name = text.slice(start, colonIn(text, start, end));
    if (end === 1 || !FIELD_NAME.test(name)) return { fields, brokenLine: linesIn(text, start) + 1, mendable };
    if (end - start > MAX_LINE_WITH_END || isBlank(name, name.length - 1)) mendable = true;
    while (isBlank(text, end)) {
      const next = text.indexOf('\r\n', end) + 2;
      if (next - end > MAX_LINE_WITH_END || isBlank(text, next - 3)) mendable = true;
      end = next;
    }
    fields.push({ name: name.trimEnd().toLowerCase(), text: text.slice(start, end) });
    start = end;
  }
  return { fields, mendable };
}

/** The colon of the line, or the line's end: then the name has a CR in it and is not valid. */
function colonIn(text: string, start: number, end: number): number {
  const colon = text.indexOf(':', start);
  return colon === -1 || colon > end ? end : colon;
}

function linesIn(text: string, end: number): number {
  let lines = 0;
  for (let i = text.indexOf('\r\n'); i !== -1 && i < end; i = text.indexOf('\r\n', i + 2)) lines++;
  return lines;
}

/** @param value may hold UTF-8: RFC 6532 §3.2. */
export function makeField(name: string, value: string): HeaderField {
  return { name: name.toLowerCase(), text: Buffer.from(`${name}: ${value}\r\n`, 'utf8').toString('latin1') };
}

/** The value without folds, and without blanks and tabs around it: other white space is a part of it. @param encoding utf8 where people's names or addresses may stand in it. */
export function fieldValue({ text }: HeaderField, encoding: 'latin1' | 'utf8' = 'latin1'): string {
  const value = trimBlanks(text.slice(text.indexOf(':') + 1, -2).replaceAll('\r\n', ''));
  return encoding === 'utf8' && /[\x80-\xff]/.test(value) ? Buffer.from(value, 'latin1').toString('utf8') : value;
}

function trimBlanks(value: string): string {
  let start = 0;
  while (isBlank(value, start)) start++;
  return value.slice(start, endOfWords(value));
}

/**
 * Leaves no obsolete form of RFC 5322 §4.2 and §4.5: takes blanks before the colon and continuation lines of blanks only away, and folds lines that are too long, at blanks. What
 * has no blank stays long. Says the same as before, and is the same to a verifier of a relaxed signature.
 */
export function mendField(field: HeaderField): HeaderField {
  const text = field.text.slice(0, -2);
  const colon = text.indexOf(':');
  const [first = '', ...more] = `${text.slice(0, colon).trimEnd()}${text.slice(colon)}`.split('\r\n');
  const lines = [first, ...more.filter((line) => !isBlankOnly(line))];
  const valueIn = (line: string) => (line === first ? line.indexOf(':') + 1 : 0);
  return { name: field.name, text: `${lines.flatMap((line) => foldLine(line, valueIn(line))).join('\r\n')}\r\n` };
}

/** Blank and tab, and no other white space: bytes of UTF-8 look like some of it here. */
function isBlankOnly(line: string): boolean {
  return endOfWords(line) === 0;
}

function endOfWords(line: string): number {
  let end = line.length;
  while (end > 0 && isBlank(line, end - 1)) end--;
  return end;
}

/** @param value where the value begins: before its first word nothing is folded. */
function foldLine(line: string, value: number): readonly string[] {
  if (line.length <= MAX_LINE) return [line];
  const end = endOfWords(line);
  const folded: string[] = [];
  let start = 0;
  /** The last place to fold. */
  let place = 0;
  let i = value;
  while (i < end && isBlank(line, i)) i++;
  for (; i <= end; i++) {
    if (i < end && (!isBlank(line, i) || isBlank(line, i - 1))) continue;
    if (i - start > GOOD_LINE && place > start) {
      folded.push(line.slice(start, place));
      start = place;
    }
    place = i;
  }
  folded.push(line.slice(start));
  return folded;
}

function isBlank(text: string, i: number): boolean {
  const code = text.charCodeAt(i);
  return code === 32 || code === 9;
}
