/**
 * Patterns of replies: plain text with `*` for any text of at most 200 characters, `{ip}` for one of our addresses, `{code}` for digits. They
 * are no regular expressions: the time that a search takes grows with the length of the text, whatever the pattern and the text are.
 */

/** Characters that a `*` stands for, at most. */
const MAX_GAP = 200;
/** A pattern is found by this many characters of its longest literal, so that has at least so many. */
export const SHORTEST = 3;
const KEY = SHORTEST;
const MAX_DIGITS = 12;

type Token = { readonly literal: string } | 'ip' | 'code';
/** What stands between two `*`. It begins with a literal. */
type Part = readonly Token[];

export type ReplyPattern = {
  readonly parts: readonly Part[];
  /** The longest literal. */
  readonly anchor: string;
  /** The anchor is all of it. */
  readonly isLiteral: boolean;
  /** Letters and digits in all literals together. */
  readonly weight: number;
};

/** Lower case, one blank for all white space, letters without accents. Texts and patterns are compared in this form. */
export function foldText(text: string): string {
  const isAscii = Buffer.byteLength(text) === text.length;
  const plain = isAscii ? text : withoutAccents(text);
  const isEven = isAscii && !UNEVEN.test(text);
  return (isEven ? plain : plain.replace(/[\s\x00-\x1f]+/g, ' ')).toLowerCase().trim();
}

/** White space of ASCII that is not one blank. */
const UNEVEN = /[\x00-\x1f]| {2}/;

function withoutAccents(text: string): string {
  return text
    .normalize('NFD')
    .replace(/[\u0300-\u036f]/g, '')
    .replace(/[\u2018\u2019]/g, "'");
}

/** @returns the pattern, or a sentence that says what is wrong with it. */
export function parsePattern(text: string): ReplyPattern | string {
  const parts: Part[] = foldText(text)
    .split('*')
    .map((part) => part.trim())
    .map((part) =>
      part
        .split(/(\{ip\}|\{code\})/)
        .filter((piece) => piece !== '')
        .map((piece) => (piece === '{ip}' ? 'ip' : piece === '{code}' ? 'code' : { literal: piece })),
    );
  if (parts.some((part) => part.length === 0)) return 'the pattern begins or ends with *, or is empty';
  if (parts.some(([first]) => typeof first === 'string')) return '{ip} and {code} need a text before them';
  const literals = parts.flat().flatMap((token) => (typeof token === 'string' ? [] : [token.literal]));
  const anchor = literals.reduce((longest, one) => (one.length > longest.length ? one : longest), '');
  if (anchor.length < KEY) return `the pattern needs ${KEY} characters without * and {…}`;
  return {
    parts,
    anchor,
    isLiteral: parts.length === 1 && parts[0]!.length === 1,
    weight: literals.join('').replace(/[^\p{L}\p{N}]/gu, '').length,
  };
}

/** A text without `*` and `{…}`, folded. */
export function literalPattern(literal: string): ReplyPattern {
  return { parts: [[{ literal }]], anchor: literal, isLiteral: true, weight: literal.length };
}

/** @param text folded. @param own folded: the addresses that `{ip}` may be; empty: any. */
export function matchesPattern({ parts }: ReplyPattern, text: string, own: readonly string[] = []): boolean {
  /** Where the parts so far may end, in order. */
  let ends: readonly number[] | undefined;
  for (const part of parts) {
    const found = occurrences(part, text, own, ends?.[0] ?? 0);
    const before = ends;
    ends = before === undefined ? found.map(({ end }) => end) : near(before, found);
    if (ends.length === 0) return false;
  }
  return true;
}

type Occurrence = { readonly begin: number; readonly end: number };

/** The ends of those that begin near one of the ends before: one pass over both. */
function near(before: readonly number[], found: readonly Occurrence[]): number[] {
  const ends: number[] = [];
  let at = 0;
  for (const { begin, end } of found) {
    while (at < before.length && before[at]! < begin - MAX_GAP) at++;
    if (at < before.length && before[at]! <= begin) ends.push(end);
  }
  return ends;
}

function occurrences(part: Part, text: string, own: readonly string[], from: number): Occurrence[] {
  const { literal } = part[0] as { literal: string };
  const found: Occurrence[] = [];
  for (let begin = text.indexOf(literal, from); begin >= 0; begin = text.indexOf(literal, begin + 1)) {
    const end = endOf(part, text, begin, own);
    if (end !== undefined) found.push({ begin, end });
  }
  return found;
}

function endOf(part: Part, text: string, begin: number, own: readonly string[]): number | undefined {
  let at = begin;
  for (const token of part) {
    const length =
      token === 'code'
        ? digits(text, at)
        : token === 'ip'
          ? address(text, at, own)
          : text.startsWith(token.literal, at)
            ? token.literal.length
            : 0;
    if (length === 0) return undefined;
    at += length;
  }
  return at;
}

function digits(text: string, at: number): number {
  let length = 0;
  while (length < MAX_DIGITS && text.charCodeAt(at + length) >= 0x30 && text.charCodeAt(at + length) <= 0x39) length++;
  return length;
}

const ADDRESS = /(?:\d{1,3}(?:\.\d{1,3}){3}|[\da-f]{0,4}(?::[\da-f]{0,4}){2,7})/y;

/** The length of the IP address at this place, 0 if there is none, or none of ours. */
function address(text: string, at: number, own: readonly string[]): number {
  ADDRESS.lastIndex = at;
  const found = ADDRESS.exec(text)?.[0];
  return found === undefined || (own.length > 0 && !own.includes(found)) ? 0 : found.length;
}

/** A text that is being searched: bytes are read faster than characters. */
let bytes = Buffer.allocUnsafe(8192);

/** `offset`: of the key in the anchor; `last`: the low byte of the last character of the anchor. */
type Entry<T> = {
  readonly pattern: ReplyPattern;
  readonly order: number;
  readonly value: T;
  readonly offset: number;
  readonly last: number;
};

/** Finds the patterns that may match a text by the rarest three characters of each, in one pass over the text. */
export class PatternIndex<T> {
  /** Which hashes of keys have entries. Most places of a text have none, so this small table answers first. */
  readonly #used = new Uint8Array(BUCKETS);
  /** Entries by the hash of their key. */
  readonly #buckets = new Map<number, Entry<T>[]>();

  constructor(all: readonly (readonly [pattern: ReplyPattern, value: T])[]) {
    const frequency = new Map<number, number>();
    for (const [{ anchor }] of all) {
      for (let at = 0; at <= anchor.length - KEY; at++) {
        const key = keyAt(anchor, at);
        frequency.set(key, (frequency.get(key) ?? 0) + 1);
      }
    }
    for (const [order, [pattern, value]] of all.entries()) {
      const { anchor } = pattern;
      let offset = 0;
      for (let at = 1; at <= anchor.length - KEY; at++) {
        if (frequency.get(keyAt(anchor, at))! < frequency.get(keyAt(anchor, offset))!) offset = at;
      }
      const bucket = bucketOf(keyAt(anchor, offset));
      const entries = this.#buckets.get(bucket) ?? [];
      entries.push({ pattern, order, value, offset, last: anchor.charCodeAt(anchor.length - 1) & 0xff });
      this.#buckets.set(bucket, entries);
      this.#used[bucket] = 1;
    }
  }

  /** In the order in which they were given. @param text folded. @param own as for `matchesPattern`. */
  find(text: string, own: readonly string[]): readonly T[] {
    const candidates = new Set<Entry<T>>();
    const used = this.#used;
    if (bytes.length < text.length) bytes = Buffer.allocUnsafe(text.length);
    const length = bytes.write(text, 'latin1'); // the low byte of each character, so an index is the same in both
    let key = 0;
    for (let end = 0; end < length; end++) {
      key = ((key << 7) & 0x1fffff) | (bytes[end]! & 0x7f);
      const bucket = bucketOf(key);
      if (used[bucket] === 0 || end < KEY - 1) continue;
      const at = end - KEY + 1;
      for (const entry of this.#buckets.get(bucket)!) {
        const { anchor } = entry.pattern;
        const begin = at - entry.offset;
        if (bytes[begin + anchor.length - 1] === entry.last && text.startsWith(anchor, begin)) candidates.add(entry);
      }
    }
    if (candidates.size === 0) return [];
    return [...candidates]
      .sort((a, b) => a.order - b.order)
      .filter(({ pattern }) => pattern.isLiteral || matchesPattern(pattern, text, own))
      .map(({ value }) => value);
  }
}

/** Seven bits of each of three characters. */
function keyAt(text: string, at: number): number {
  return ((text.charCodeAt(at) & 0x7f) << 14) | ((text.charCodeAt(at + 1) & 0x7f) << 7) | (text.charCodeAt(at + 2) & 0x7f);
}

const BUCKETS = 1 << 14;

function bucketOf(key: number): number {
  return (Math.imul(key, 0x9e3779b1) >>> 18) & (BUCKETS - 1);
}
