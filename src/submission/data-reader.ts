/**
 * Reads the text of a message after DATA: RFC 5321 §4.1.1.4 and §4.5.2. The text ends at CRLF.CRLF and nowhere else. A dot that begins
 * a line is removed where more stands behind it. Any split of the same bytes gives the same result.
 *
 * The reader searches whole chunks with native functions. A line costs time only where it begins with a dot.
 */
const CR = 0x0d;
const LF = 0x0a;
const DOT = 0x2e;
const LINE_START_DOT = Buffer.from('\r\n.');
const NOTHING = Buffer.alloc(0);

/** How the bytes that were read end. A dot is held back until the bytes behind it tell what it means. */
const WITHIN_LINE = 0;
const AFTER_CR = 1;
const LINE_START = 2;
const HELD_DOT = 3;
const HELD_DOT_CR = 4;

export class DataReader {
  #state = LINE_START;
  #rest: Buffer | undefined;
  #loneDot = false;

  /** The bytes behind the end of the message. Undefined: it has not ended. */
  get rest(): Buffer | undefined {
    return this.#rest;
  }

  /**
   * True where a line was a dot alone and did not end in CRLF. Another server could take it for the end of the message. The line is
   * handed out unchanged.
   */
  get loneDot(): boolean {
    return this.#loneDot;
  }

  /** @returns the content of the chunk, in the chunk's own memory where possible. The caller must not use the chunk again. */
  read(chunk: Buffer): Buffer {
    if (chunk.length === 0) return NOTHING;
    if (this.#state < HELD_DOT) return this.#readLines(chunk, 0);
    return this.#readHeld(chunk);
  }

  /** The first bytes behind a dot that was held back. */
  #readHeld(chunk: Buffer): Buffer {
    let i = 0;
    if (this.#state === HELD_DOT && chunk[0] === CR) {
      this.#state = HELD_DOT_CR;
      i = 1;
      if (chunk.length === 1) return NOTHING;
    }
    if (this.#state === HELD_DOT_CR) {
      if (chunk[i] === LF) return this.#end(chunk, i + 1);
      return this.#keepLoneDot('.\r', AFTER_CR, chunk, i);
    }
    if (chunk[0] === LF) return this.#keepLoneDot('.', WITHIN_LINE, chunk, 0);
    this.#state = WITHIN_LINE;
    return this.#readLines(chunk, 0);
  }

  #keepLoneDot(held: string, state: number, chunk: Buffer, from: number): Buffer {
    this.#loneDot = true;
    this.#state = state;
    return Buffer.concat([Buffer.from(held), this.#readLines(chunk, from)]);
  }

  #end(chunk: Buffer, at: number): Buffer {
    this.#rest = chunk.subarray(at);
    return NOTHING;
  }

  /** Moves the content together within the chunk. `kept` is the end of what has been moved, `from` the beginning of the next part. */
  #readLines(chunk: Buffer, begin: number): Buffer {
    let from = begin;
    let kept = begin;
    const keepUntil = (end: number) => {
      if (kept !== from) chunk.copyWithin(kept, from, end);
      kept += end - from;
    };
    for (let dot = this.#firstDot(chunk, begin); dot !== -1; dot = nextDot(chunk, dot + 1)) {
      const next = chunk[dot + 1];
      const afterNext = chunk[dot + 2];
      if (next === undefined || (next === CR && afterNext === undefined)) {
        keepUntil(dot);
        this.#state = next === undefined ? HELD_DOT : HELD_DOT_CR;
        return chunk.subarray(begin, kept);
      }
      if (next === CR && afterNext === LF) {
        keepUntil(dot);
        this.#rest = chunk.subarray(dot + 3);
        return chunk.subarray(begin, kept);
      }
      if (next === LF || next === CR) {
        this.#loneDot = true;
      } else {
        keepUntil(dot);
        from = dot + 1;
      }
    }
    this.#state = this.#stateAfter(chunk, begin); // before the last bytes are moved
    keepUntil(chunk.length);
    return chunk.subarray(begin, kept);
  }

  /** The first dot that begins a line, which may have begun in the chunk before. */
  #firstDot(chunk: Buffer, begin: number): number {
    if (this.#state === LINE_START && chunk[begin] === DOT) return begin;
    if (this.#state === AFTER_CR && chunk[begin] === LF && chunk[begin + 1] === DOT) return begin + 1;
    return nextDot(chunk, begin);
  }

  #stateAfter(chunk: Buffer, begin: number): number {
    const last = chunk[chunk.length - 1];
    if (last === CR) return AFTER_CR;
    if (last !== LF) return WITHIN_LINE;
    const crBefore = chunk.length - 1 > begin ? chunk[chunk.length - 2] === CR : this.#state === AFTER_CR;
    return crBefore ? LINE_START : WITHIN_LINE;
  }
}

function nextDot(chunk: Buffer, from: number): number {
  const found = chunk.indexOf(LINE_START_DOT, from);
  return found === -1 ? -1 : found + 2;
}
