/** Makes a new input out of known ones: flips, cuts, repeats, splices, and words that parsers listen to. */

/** Longest input; parsers that take linear time read it in a few milliseconds. */
const MAX_LENGTH = 128 * 1024;

/** mulberry32: the same inputs for the same seed. */
export function randomFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

type Random = ReturnType<typeof randomFrom>;
type Mutation = (input: Buffer, random: Random, others: readonly Buffer[], words: readonly Buffer[]) => Buffer;

const EDGES = [0, 1, 9, 10, 13, 0x20, 0x22, 0x2e, 0x3c, 0x3e, 0x40, 0x5c, 0x7f, 0x80, 0xc0, 0xff];
const at = (input: Buffer, random: Random) => random(input.length + 1);
const insert = (input: Buffer, where: number, what: Buffer) =>
  Buffer.concat([input.subarray(0, where), what, input.subarray(where)]);

function piece(input: Buffer, random: Random): Buffer {
  const from = at(input, random);
  return input.subarray(from, from + random(Math.min(64, input.length - from) + 1));
}

const MUTATIONS: readonly Mutation[] = [
  (input, random) => {
    const copy = Buffer.from(input);
    if (copy.length > 0) copy[random(copy.length)]! ^= 1 << random(8);
    return copy;
  },
  (input, random) => {
    const copy = Buffer.from(input);
    if (copy.length > 0) copy[random(copy.length)] = EDGES[random(EDGES.length)]!;
    return copy;
  },
  (input, random) => insert(input, at(input, random), Buffer.from([random(256)])),
  (input, random) => {
    const from = at(input, random);
    return Buffer.concat([input.subarray(0, from), input.subarray(from + 1 + random(16))]);
  },
  (input, random) => input.subarray(0, at(input, random)),
  (input, random) => insert(input, at(input, random), piece(input, random)),
  (input, random, others) => insert(input, at(input, random), piece(others[random(others.length)]!, random)),
  (input, random, others) => {
    const other = others[random(others.length)]!;
    return Buffer.concat([input.subarray(0, at(input, random)), other.subarray(at(other, random))]);
  },
  (input, random, _, words) => insert(input, at(input, random), words[random(words.length)]!),
  (input, random, _, words) => {
    const from = at(input, random);
    return Buffer.concat([input.subarray(0, from), words[random(words.length)]!, input.subarray(from + 1 + random(8))]);
  },
];

/** A piece or a word, again and again: what takes more than linear time shows here. */
function repeat(input: Buffer, random: Random, words: readonly Buffer[]): Buffer {
  const what = random(2) === 0 ? piece(input, random) : words[random(words.length)]!;
  if (what.length === 0) return input;
  const times = 1 << random(15);
  return insert(input, at(input, random), Buffer.alloc(Math.min(MAX_LENGTH, what.length * times), what));
}

/** What parsers stumble over: ends of lines, escapes, limits of numbers, and text that is not what it seems. */
const HOSTILE: readonly Buffer[] = [
  ...['\r\n', '\r\n.\r\n', '\n.\n', '\r', '\0', '""', '\\', '=', '+00', '+0A', '+1F', '+3D', '+7F', '+C3+A9', '+ff'],
  ...['0', '-1', '1e9', '0x7f', '2147483648', '99999999999999999999', 'xn--', 'xn--a-', '__proto__', '&a', '*a', '%00'],
  ...['\u0085', '\u00a0', '\u200b', '\u202e', '\u2028', '\u3002', '\uff20', '\ufeff', '\u{1f4e7}', 'é', 'e\u0301', 'ß', 'İ'],
].map((word) => Buffer.from(word, 'utf8'));
/** What is no UTF-8: overlong, a surrogate, beyond the last character, cut. */
const NO_UTF8: readonly Buffer[] = ['c080', 'eda080', 'f4908080', 'e282'].map((octets) => Buffer.from(octets, 'hex'));

/** What stands in inputs between blanks and signs, and those; and words that are trouble anywhere. */
export function wordsOf(inputs: readonly Buffer[]): readonly Buffer[] {
  const words = inputs.flatMap((input) => input.toString('latin1').match(/[\w-]+|[^\w-]+/g) ?? []);
  return [...[...new Set(words)].map((word) => Buffer.from(word, 'latin1')), ...HOSTILE, ...NO_UTF8];
}

/** One to eight changes to one of the inputs, rather few than many; now and then a very long one. */
export function mutate(inputs: readonly Buffer[], words: readonly Buffer[], random: Random): Buffer {
  let input = inputs[random(inputs.length)]!;
  for (let changes = 1 + random(1 + random(8)); changes > 0; changes--) {
    input = MUTATIONS[random(MUTATIONS.length)]!(input, random, inputs, words);
  }
  if (random(200) === 0) input = repeat(input, random, words);
  return input.length > MAX_LENGTH ? input.subarray(0, MAX_LENGTH) : input;
}
