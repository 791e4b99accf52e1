/** Blanks within a body as RFC 6376 §3.4.4 wants them: each run is one space, and none stands before a line end. */

const CR = 13;
const SPACE = 32;
const TAB = 9;
/** Below this a loop over bytes is faster than a native copy. */
const WORTH_COPY = 48;
const HIGH = 0x80808080 | 0;
const LOW = 0x7f7f7f7f;
const NO_WORDS = new Int32Array(0);

/** True where `collapse` would change something. Text without blanks (base64) is settled by native search. */
export function needsCollapse(bytes: Buffer): boolean {
  if (bytes.includes(TAB)) return true;
  const first = bytes.indexOf(SPACE);
  return first !== -1 && nextRun(bytes, first, wordsOf(bytes)) < bytes.length;
}

/**
 * Makes each run of blanks one space and drops those before a CR. The bytes end with a blank only where it is to be kept.
 * @param out at least as long as the bytes. @returns how much of it was written.
 */
export function collapse(bytes: Buffer, out: Buffer): number {
  const aligned = wordsOf(bytes);
  let length = 0;
  let i = 0;
  for (;;) {
    const run = nextRun(bytes, i, aligned);
    if (run - i > WORTH_COPY) length += bytes.copy(out, length, i, run);
    else while (i < run) out[length++] = bytes[i++]!;
    if (run === bytes.length) return length;
    i = run + 1;
    while (i < bytes.length && (bytes[i] === SPACE || bytes[i] === TAB)) i++;
    if (i === bytes.length || bytes[i] !== CR) out[length++] = SPACE;
  }
}

/** The aligned part of the bytes, four at a time, which is several times the speed of a loop over them. */
type Words = { readonly words: Int32Array; readonly from: number };

function wordsOf(bytes: Buffer): Words {
  const from = -bytes.byteOffset & 3;
  if (bytes.length < from + 4) return { words: NO_WORDS, from: bytes.length };
  return { words: new Int32Array(bytes.buffer, bytes.byteOffset + from, (bytes.length - from) >>> 2), from };
}

/** Index of the next tab, or of the next space before a byte up to 0x20 (a blank, a CR); the length where the bytes hold neither. */
function nextRun(bytes: Buffer, start: number, { words, from }: Words): number {
  let i = start;
  while (i < bytes.length && (i < from || ((i - from) & 3) !== 0)) {
    if (isRun(bytes, i)) return i;
    i++;
  }
  const w = nextWord(words, (i - from) >> 2);
  // What was found may begin with the last byte of the word before.
  for (i = Math.max(i, from + 4 * w - 1); i < bytes.length; i++) if (isRun(bytes, i)) return i;
  return i;
}

function isRun(bytes: Buffer, i: number): boolean {
  const byte = bytes[i];
  return byte === TAB || (byte === SPACE && i + 1 < bytes.length && bytes[i + 1]! <= SPACE);
}

/** The first word that holds a tab or completes a run, the first byte the lowest (every machine that runs Node is little-endian). */
function nextWord(words: Int32Array, start: number): number {
  let carry = 0;
  for (let w = start; w < words.length; w++) {
    const word = words[w]!;
    const low = word & LOW;
    // 0x80 in each byte that is a space, that is at most a space, that is a tab
    const space = ~(((low ^ 0x20202020) + LOW) | word) & HIGH;
    const blank = ~((low + 0x5f5f5f5f) | word) & HIGH;
    const tab = ~(((low ^ 0x09090909) + LOW) | word) & HIGH;
    if ((((space << 8) | carry) & blank) !== 0 || tab !== 0) return w;
    carry = (space >>> 24) & 0x80;
  }
  return words.length;
}
