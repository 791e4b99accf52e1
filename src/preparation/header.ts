/** A header section cut into its fields: RFC 5322 §2.2, every byte kept. */
import type { HeaderField } from '../signing/signing.ts';
import { isBlank, MAX_LINE } from './mending.ts';

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
    fields.push({ name: name.trimEnd().toLowerCase(), raw: section.subarray(start, end) });
    start = end;
  }
  return { fields, mendable };
}

/** The colon of the line, or the line's end: then the name has a CR in it and is none. */
function colonIn(text: string, start: number, end: number): number {
  const colon = text.indexOf(':', start);
  return colon === -1 || colon > end ? end : colon;
}

function linesIn(text: string, end: number): number {
  let lines = 0;
  for (let i = text.indexOf('\r\n'); i !== -1 && i < end; i = text.indexOf('\r\n', i + 2)) lines++;
  return lines;
}

/** The value without folds, and without blanks and tabs around it: other white space is a part of it. @param encoding utf8 where people's names or addresses may stand in it. */
export function fieldValue(field: HeaderField, encoding: 'latin1' | 'utf8' = 'latin1'): string {
  const value = field.raw.toString(encoding, field.raw.indexOf(0x3a) + 1).replaceAll('\r\n', '');
  let start = 0;
  let end = value.length;
  while (isBlank(value, start)) start++;
  while (end > start && isBlank(value, end - 1)) end--;
  return value.slice(start, end);
}
