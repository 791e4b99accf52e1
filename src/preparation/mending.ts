/** The form of a header field that every server takes: RFC 5322 §2.1.1, §2.2.3, without the obsolete forms of §4.2 and §4.5. */
import type { HeaderField } from '../signing/signing.ts';

/** Octets of a line without its CRLF: what it must not exceed, and what it should not. */
export const MAX_LINE = 998;
const GOOD_LINE = 78;

/**
 * Takes blanks before the colon and continuation lines of blanks only away, and folds lines that are too long, at blanks. What
 * has no blank stays long. Says the same as before, and is the same to a verifier of a relaxed signature.
 */
export function mendField({ name, raw }: HeaderField): HeaderField {
  const text = raw.toString('latin1', 0, raw.length - 2);
  const colon = text.indexOf(':');
  const [first = '', ...more] = `${text.slice(0, colon).trimEnd()}${text.slice(colon)}`.split('\r\n');
  const lines = [first, ...more.filter((line) => !isBlankOnly(line))];
  const valueIn = (line: string) => (line === first ? line.indexOf(':') + 1 : 0);
  return { name, raw: Buffer.from(`${lines.flatMap((line) => foldLine(line, valueIn(line))).join('\r\n')}\r\n`, 'latin1') };
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

export function isBlank(text: string, i: number): boolean {
  const code = text.charCodeAt(i);
  return code === 32 || code === 9;
}
