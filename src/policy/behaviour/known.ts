/** Which addresses were seen before, in little memory: Bloom filters that grow. A few unknown ones pass as known, never the reverse. */

/** Bits of the filters, one after the other. The last size repeats. */
const SIZES = [1 << 13, 1 << 15, 1 << 17, 1 << 19] as const;
/** Bits for one entry. A full filter then takes 24 of 1000 unknown entries for known ones. */
const BITS_EACH = 8;
const PROBES = 4;
/** With more filters, the oldest is dropped. */
const MOST = SIZES.length;

type Filter = { readonly bits: Uint8Array; count: number };

/** What `KnownSet.toJson` gives: `[count, base64]` for each filter. */
export type KnownJson = readonly (readonly [number, string])[];

export class KnownSet {
  readonly #largest: number;
  #filters: Filter[] = [];

  /** @param largest bits of the largest filter. */
  constructor(largest: number = SIZES.at(-1)!) {
    this.#largest = largest;
  }

  /** @returns true if the text was not known. It is from now on. */
  add(text: string): boolean {
    const [first, step] = hashesOf(text);
    if (this.#filters.some(({ bits }) => has(bits, first, step))) return false;
    let last = this.#filters.at(-1);
    if (last === undefined || (last.count + 1) * BITS_EACH > last.bits.length * 8) last = this.#grow();
    last.count++;
    const size = last.bits.length * 8;
    for (let i = 0; i < PROBES; i++) {
      const bit = probe(first, step, i) % size;
      last.bits[bit >>> 3]! |= 1 << (bit & 7);
    }
    return true;
  }

  #grow(): Filter {
    const before = (this.#filters.at(-1)?.bits.length ?? 0) * 8;
    const size = SIZES.find((bits) => bits > before && bits <= this.#largest) ?? this.#largest;
    const filter = { bits: new Uint8Array(size / 8), count: 0 };
    this.#filters = [...this.#filters, filter].slice(-MOST);
    return filter;
  }

  /** Adds what an earlier process has stored. Filters of other sizes are ignored. */
  merge(json: KnownJson): void {
    const stored = json.flatMap(([count, base64]) => {
      const bits = Uint8Array.from(Buffer.from(base64, 'base64'));
      return SIZES.some((size) => size === bits.length * 8 && size <= this.#largest) && Number.isInteger(count)
        ? [{ bits, count }]
        : [];
    });
    this.#filters = [...stored, ...this.#filters].slice(-MOST);
  }

  toJson(): KnownJson {
    return this.#filters.map(({ bits, count }) => [count, Buffer.from(bits).toString('base64')]);
  }
}

function has(bits: Uint8Array, first: number, step: number): boolean {
  const size = bits.length * 8;
  for (let i = 0; i < PROBES; i++) {
    const bit = probe(first, step, i) % size;
    if ((bits[bit >>> 3]! & (1 << (bit & 7))) === 0) return false;
  }
  return true;
}

const probe = (first: number, step: number, i: number) => (first + Math.imul(i, step)) >>> 0;

/** FNV-1a, and a second hash of the same characters that is odd. */
function hashesOf(text: string): readonly [number, number] {
  let first = 0x811c9dc5;
  let second = 0x9e3779b9;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    first = Math.imul(first ^ code, 0x01000193);
    second = Math.imul(second ^ code, 0x85ebca6b) ^ (second >>> 13);
  }
  return [mixed(first), mixed(second) | 1];
}

function mixed(hash: number): number {
  const a = Math.imul(hash ^ (hash >>> 16), 0x7feb352d);
  const b = Math.imul(a ^ (a >>> 15), 0x846ca68b);
  return (b ^ (b >>> 16)) >>> 0;
}
