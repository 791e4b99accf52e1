/** Blanks within a body as RFC 6376 §3.4.4 wants them: each run is one space, and none stands before a line end. */

const CR = 13;
const SPACE = 32;
const TAB = 9;
const HIGH = 0x80808080 | 0;
const LOW = 0x7f7f7f7f;

/**
 * True where `collapse` would change something. Text without blanks (base64) is settled by native search; other text is read
 * four bytes at a time, which is several times the speed of a loop over bytes.
 */
export function needsCollapse(bytes: Buffer): boolean {
  if (bytes.includes(TAB)) return true;
  const first = bytes.indexOf(SPACE);
  if (first === -1) return false;
  const misaligned = (bytes.byteOffset + first) & 3;
  const from = Math.min(bytes.length, misaligned === 0 ? first : first + 4 - misaligned);
  const count = (bytes.length - from) >>> 2;
  if (count < 8) return hasBlankRun(bytes, first, bytes.length);
  if (hasBlankRun(bytes, first, from)) return true;
  const words = new Int32Array(bytes.buffer, bytes.byteOffset + from, count);
  if (hasBlankRunInWords(words, bytes[from - 1] === SPACE)) return true;
  return hasBlankRun(bytes, from + 4 * count - 1, bytes.length);
}

/** A space before a byte up to 0x20 (a space, a CR) at `start` to `end`, the pair that reaches over `end` left out. */
function hasBlankRun(bytes: Buffer, start: number, end: number): boolean {
  for (let i = Math.max(0, start); i + 1 < end; i++) {
    if (bytes[i] === SPACE && bytes[i + 1]! <= SPACE) return true;
  }
  return false;
}

/** The same for whole words, the first byte the lowest (every machine that runs Node is little-endian). */
function hasBlankRunInWords(words: Int32Array, afterSpace: boolean): boolean {
  let carry = afterSpace ? 0x80 : 0;
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    const low = word & LOW;
    const difference = low ^ 0x20202020;
    // 0x80 in each byte that is a space, and in each that is at most a space
    const space = ~((difference + LOW) | word) & HIGH;
    const blank = ~((low + 0x5f5f5f5f) | word) & HIGH;
    if (((space << 8) | carry) & blank) return true;
    carry = (space >>> 24) & 0x80;
  }
  return false;
}

/**
 * Makes each run of blanks one space and drops those before a CR. The bytes end with a blank only where it is to be kept.
 * @param out at least as long as the bytes. @returns how much of it was written.
 */
export function collapse(bytes: Buffer, out: Buffer): number {
  let length = 0;
  let i = 0;
  while (i < bytes.length) {
    const byte = bytes[i++]!;
    if (byte > SPACE || (byte !== SPACE && byte !== TAB)) {
      out[length++] = byte;
      continue;
    }
    while (i < bytes.length && (bytes[i] === SPACE || bytes[i] === TAB)) i++;
    if (i === bytes.length || bytes[i] !== CR) out[length++] = SPACE;
  }
  return length;
}
