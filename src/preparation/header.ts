/** A header section cut into its fields: RFC 5322 §2.2, every byte kept. */
import { type HeaderField, parseTags } from '../signing/signing.ts';

export type HeaderSection = {
  readonly fields: readonly HeaderField[];
  /** Number of the first line that is no field, from 1; undefined where all are. */
  readonly brokenLine?: number;
};

/** Printable ASCII but the colon, then perhaps blanks: RFC 5322 §2.2, §4.5. */
const FIELD_NAME = /^[!-9;-~]+[ \t]*$/;

/** @param section lines that all end with CRLF. Takes linear time. */
export function parseHeader(section: Buffer): HeaderSection {
  const text = section.toString('latin1');
  const fields: HeaderField[] = [];
  let start = 0;
  while (start < text.length) {
    let end = text.indexOf('\r\n', start) + 2;
    const name = text.slice(start, colonIn(text, start, end));
    if (end === 1 || !FIELD_NAME.test(name)) return { fields, brokenLine: linesIn(text, start) + 1 };
    while (isBlank(text.charCodeAt(end))) end = text.indexOf('\r\n', end) + 2;
    fields.push({ name: name.trimEnd().toLowerCase(), raw: section.subarray(start, end) });
    start = end;
  }
  return { fields };
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

function isBlank(code: number): boolean {
  return code === 32 || code === 9;
}

/** The value without folds and blanks around it. @param encoding utf8 where people's names or addresses may stand in it. */
export function fieldValue(field: HeaderField, encoding: 'latin1' | 'utf8' = 'latin1'): string {
  return field.raw
    .toString(encoding, field.raw.indexOf(0x3a) + 1)
    .replaceAll('\r\n', '')
    .trim();
}

/** Names that the signatures of others cover, lower case: those fields stay as they are. RFC 6376 §3.5, RFC 8617 §4.1.2 */
export function coveredNames(fields: readonly HeaderField[]): Set<string> {
  const covered = new Set<string>();
  for (const field of fields) {
    if (field.name !== 'dkim-signature' && field.name !== 'arc-message-signature') continue;
    for (const name of parseTags(fieldValue(field)).get('h')?.split(':') ?? []) covered.add(name.toLowerCase());
  }
  return covered;
}
