/** The body hash of RFC 6376 §3.7 over the relaxed form of §3.4.4 or the simple one of §3.4.3, made in one pass while the body arrives. */
import { createHash } from 'node:crypto';
import { collapse, needsCollapse } from './relaxed-body.ts';

/** SHA-256 of a body in one form. The chunks hold CRLF only, never a bare CR or LF; they may be cut anywhere. */
export type BodyHash = {
  update(chunk: Uint8Array): void;
  /** @returns base64; ends the hash. */
  digest(): string;
};

const CR = 13;
const LF = 10;
const SPACE = Buffer.from(' ');
const NEWLINE = Buffer.from('\r\n');
const NO_BYTES = Buffer.alloc(0);
/** Empty lines are hashed in blocks: half a million of them must not cost half a million calls. */
const NEWLINES_PER_BLOCK = 4096;

/** What of a body is hashed. */
export type BodyForm = {
  readonly canonicalization: 'relaxed' | 'simple';
  /** Octets of the canonical body that count, from its beginning: `l=`. Absent: all. */
  readonly limit?: number;
};

export function createBodyHash({ canonicalization, limit }: BodyForm = { canonicalization: 'relaxed' }): BodyHash {
  const hash = limit === undefined ? createHash('sha256') : new LimitedHash(limit);
  return canonicalization === 'relaxed' ? new RelaxedBodyHash(hash) : new SimpleBodyHash(hash);
}

type Sink = { update(bytes: Buffer): unknown; digest(encoding: 'base64'): string };

/** Hashes the first octets and forgets the rest. */
class LimitedHash implements Sink {
  readonly #hash = createHash('sha256');
  #left: number;

  constructor(limit: number) {
    this.#left = limit;
  }

  update(bytes: Buffer): void {
    if (this.#left === 0) return;
    const taken = bytes.length <= this.#left ? bytes : bytes.subarray(0, this.#left);
    this.#left -= taken.length;
    this.#hash.update(taken);
  }

  digest(encoding: 'base64'): string {
    return this.#hash.digest(encoding);
  }
}

/** Only the empty lines at the end are left out; they are held back as a count of octets. */
class SimpleBodyHash implements BodyHash {
  readonly #hash: Sink;
  #held = 0;

  constructor(hash: Sink) {
    this.#hash = hash;
  }

  update(input: Uint8Array): void {
    const chunk = bufferOf(input);
    let end = chunk.length;
    while (end > 0 && (chunk[end - 1] === CR || chunk[end - 1] === LF)) end--;
    if (end > 0) {
      // What is held began with a CR: CR and LF stand side by side only.
      for (; this.#held > 0; this.#held -= Math.min(this.#held, 2 * NEWLINES_PER_BLOCK)) {
        this.#hash.update(Buffer.alloc(Math.min(this.#held, 2 * NEWLINES_PER_BLOCK), '\r\n'));
      }
      this.#hash.update(end === chunk.length ? chunk : chunk.subarray(0, end));
    }
    this.#held += chunk.length - end;
  }

  digest(): string {
    // Even a body that is empty ends with one CRLF: RFC 6376 §3.4.3
    this.#hash.update(NEWLINE);
    return this.#hash.digest('base64');
  }
}

/**
 * What may yet turn out to be the end of a line or of the body is held back as a count; all else goes to the hash as it came,
 * without a copy where a chunk is in relaxed form already.
 */
class RelaxedBodyHash implements BodyHash {
  readonly #hash: Sink;
  #scratch = NO_BYTES;
  #newlines = 0;
  #space = false;
  #cr = false;
  #empty = true;

  constructor(hash: Sink) {
    this.#hash = hash;
  }

  update(input: Uint8Array): void {
    const chunk = bufferOf(input);
    const start = this.#resume(chunk);
    if (start === chunk.length) return;
    const { end, newlines } = this.#trim(chunk, start);
    if (end > start) {
      this.#release();
      this.#emit(start === 0 && end === chunk.length ? chunk : chunk.subarray(start, end));
    }
    this.#newlines += newlines;
  }

  digest(): string {
    // A body that is not empty ends with one CRLF; an empty one stays empty: RFC 6376 §3.4.4
    if (!this.#empty) this.#hash.update(NEWLINE);
    return this.#hash.digest('base64');
  }

  /** Settles what the last chunk left open. @returns where the undecided part of this one begins. */
  #resume(chunk: Buffer): number {
    let start = 0;
    if (this.#cr && chunk.length > 0) {
      this.#cr = false;
      this.#space = false;
      this.#newlines++;
      start = chunk[0] === LF ? 1 : 0;
    }
    if (!this.#space) return start;
    while (start < chunk.length && isBlank(chunk[start])) start++;
    if (start === chunk.length) return start;
    this.#space = false;
    if (chunk[start] !== CR) {
      this.#release();
      this.#emit(SPACE);
    }
    return start;
  }

  /** Finds what must be held back at the end: blanks and line ends, in any number. */
  #trim(chunk: Buffer, start: number): { end: number; newlines: number } {
    let end = chunk.length;
    let newlines = 0;
    if (chunk[end - 1] === CR) {
      this.#cr = true;
      end--;
    }
    let blank = skipBlanks(chunk, start, end);
    if (blank < end && !this.#cr) this.#space = true;
    end = blank;
    while (end - start >= 2 && chunk[end - 1] === LF) {
      newlines++;
      blank = skipBlanks(chunk, start, end - 2);
      end = blank;
    }
    // A cut between CR and LF leaves a line end whose CR stands in the chunk before: it was counted there.
    return { end, newlines };
  }

  #release(): void {
    for (let rest = this.#newlines; rest > 0; rest -= NEWLINES_PER_BLOCK) {
      this.#hash.update(rest === 1 ? NEWLINE : Buffer.alloc(2 * Math.min(rest, NEWLINES_PER_BLOCK), '\r\n'));
    }
    this.#newlines = 0;
    this.#empty = false;
  }

  #emit(bytes: Buffer): void {
    if (!needsCollapse(bytes)) {
      this.#hash.update(bytes);
      return;
    }
    if (this.#scratch.length < bytes.length) this.#scratch = Buffer.allocUnsafe(bytes.length);
    this.#hash.update(this.#scratch.subarray(0, collapse(bytes, this.#scratch)));
  }
}

function bufferOf(input: Uint8Array): Buffer {
  return Buffer.isBuffer(input) ? input : Buffer.from(input.buffer, input.byteOffset, input.byteLength);
}

function skipBlanks(chunk: Buffer, start: number, end: number): number {
  let i = end;
  while (i > start && isBlank(chunk[i - 1])) i--;
  return i;
}

function isBlank(byte: number | undefined): boolean {
  return byte === 32 || byte === 9;
}
