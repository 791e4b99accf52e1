/**
 * Lines end with CRLF and nothing else: RFC 5321 §2.3.8. What another server could take for an end of data is refused, other
 * bare CR and LF become CRLF before anything is hashed, signed or stored. CR CR LF is one line end: a program wrote CRLF through
 * a library that made CRLF of its LF again.
 *
 * A line may have any length: RFC 5321 §4.5.3.1.6 asks for 998 at least. A longer one stays whole: a break would change what it says.
 * The same bytes give the same result however they are cut into chunks.
 */
import { refusal } from '../smtp/replies.ts';
import type { Refusal } from '../smtp/reply.ts';

/** Takes the clean bytes. Chunks that are clean already come through by reference. */
export type LineSink = {
  /**
   * The whole header section, its last CRLF included, the empty line after it not.
   * @param separated false where the message ends without an empty line.
   */
  header(section: Buffer, separated: boolean): void;
  body(piece: Buffer): void;
  /** Nothing follows. */
  refuse(refusal: Refusal): void;
};

type LineOptions = { readonly bareNewlines: 'normalize' | 'reject'; readonly maxHeaderSize: number };

/** Below this a loop over bytes is faster than a view on words. */
const WORTH_WORDS = 64;
const NUL = 0;
const LF = 10;
const CR = 13;
const DOT = 0x2e;
const NEWLINE = Buffer.from('\r\n');
const NO_BYTES = Buffer.alloc(0);
/** Below this a loop over bytes is faster than a native copy. */
const WORTH_COPY = 48;

export class Lines {
  readonly #sink: LineSink;
  readonly #options: LineOptions;
  #inHeader = true;
  /** The header so far: by reference while it is one piece. */
  #header: Buffer = NO_BYTES;
  #headerLength = 0;
  #refused = false;
  #bare = false;
  /** Length of the line that the last chunk left unfinished, and whether it is a lone dot so far. */
  #length = 0;
  #loneDot = false;
  /** The unfinished line began after a CRLF, or with the message. */
  #cleanStart = true;
  /** CRs at the end of the last chunk that are not decided yet: at most two. */
  #crs = 0;
  /** What a chunk that is rewritten becomes: handed on as a whole, not line by line. */
  #rewritten: Buffer | undefined;
  #rewrittenLength = 0;

  /** A bare CR or LF was turned into CRLF. */
  get bareNewlines(): boolean {
    return this.#bare;
  }

  constructor(sink: LineSink, options: LineOptions) {
    this.#sink = sink;
    this.#options = options;
  }

  write(chunk: Buffer): void {
    if (this.#refused || chunk.length === 0) return;
    if (this.#crs === 0) this.#scan(chunk, 0);
    else if (this.#crs === 1 && chunk[0] === LF) {
      this.#crs = 0;
      this.#endLine(true);
      this.#scan(chunk, 1);
    } else this.#rewrite(chunk, 0);
  }

  /** The end of the data: closes the last line where the client did not. */
  end(): void {
    if (this.#refused) return;
    if (this.#crs > 0) this.#endBareCrs();
    else if (this.#length > 0) this.#endLine(this.#cleanStart);
    if (this.#inHeader) this.#endHeader(false);
  }

  /** The fast way: passes on what is clean, up to the first byte that is not. */
  #scan(chunk: Buffer, from: number): void {
    const words = chunk.length - from < WORTH_WORDS ? undefined : wordsOf(chunk);
    let lineStart = from - this.#length;
    let passed = from;
    let i = from;
    while ((i = nextControl(chunk, i, words)) < chunk.length) {
      const byte = chunk[i]!;
      if (byte !== CR && byte !== LF && byte !== NUL) {
        i++;
        continue;
      }
      if (byte !== CR || (i + 1 < chunk.length && chunk[i + 1] !== LF)) break;
      if (i + 1 === chunk.length) {
        this.#keepState(chunk, lineStart, i);
        this.#crs = 1;
        this.#pass(chunk, passed, i);
        return;
      }
      if (i - lineStart === 1 && !this.#cleanStart && this.#isLoneDot(chunk, lineStart, i)) break;
      if (i === lineStart && this.#inHeader) {
        this.#pass(chunk, passed, i);
        this.#endHeader(true);
        passed = i + 2;
      }
      this.#cleanStart = true;
      i += 2;
      lineStart = i;
    }
    this.#keepState(chunk, lineStart, i);
    this.#pass(chunk, passed, i);
    if (i < chunk.length) this.#rewrite(chunk, i);
  }

  /** The slow way, byte by byte, from the first thing that is wrong to the end of the chunk. */
  #rewrite(chunk: Buffer, from: number): void {
    // Each byte may become a CRLF, and so may the CRs before it.
    this.#rewritten = Buffer.allocUnsafeSlow(2 * (chunk.length - from + this.#crs));
    this.#rewriteLines(chunk, from);
    this.#passRewritten();
    this.#rewritten = undefined;
  }

  #rewriteLines(chunk: Buffer, from: number): void {
    let start = from;
    for (let i = from; i < chunk.length && !this.#refused; i++) {
      const byte = chunk[i]!;
      if (byte === LF) {
        this.#pass(chunk, start, i);
        this.#endLineAtLf();
        start = i + 1;
      } else if (byte === CR) {
        this.#pass(chunk, start, i);
        this.#addCr();
        start = i + 1;
      } else {
        if (this.#crs > 0) {
          this.#endBareCrs();
          start = i;
        }
        if (byte === NUL && !this.#refused) {
          this.#pass(chunk, start, i);
          this.#refuse(refusal('nul'));
        }
        this.#loneDot = this.#length === 0 && byte === DOT;
        this.#length++;
      }
    }
    if (!this.#refused && this.#crs === 0) this.#pass(chunk, start, chunk.length);
  }

  /** LF, CR LF or CR CR LF: one line end each. */
  #endLineAtLf(): void {
    const crs = this.#crs;
    this.#crs = 0;
    if (crs === 1) this.#endLine(true);
    else this.#endBareLine(crs === 2 ? 'CR CR LF' : 'LF');
  }

  /** Of more than two CRs the first ones are line ends by themselves. */
  #addCr(): void {
    if (this.#crs === 2) this.#endBareLine('CR');
    else this.#crs++;
  }

  #endBareCrs(): void {
    for (; this.#crs > 0 && !this.#refused; this.#crs--) this.#endBareLine('CR');
  }

  #endBareLine(end: 'LF' | 'CR' | 'CR CR LF'): void {
    if (end !== 'LF' && this.#inHeader) {
      this.#refuse(refusal('crInHeader'));
    } else if (this.#options.bareNewlines === 'reject') {
      this.#refuse(refusal('bareNewlines'));
    } else {
      this.#bare = true;
      // Behind CR CR LF stands a CRLF, whatever was before it: the next line begins cleanly.
      this.#endLine(false, end === 'CR CR LF');
    }
  }

  #endLine(clean: boolean, cleanStart = clean): void {
    if (this.#loneDot && !(clean && this.#cleanStart)) {
      this.#refuse(refusal('bareLoneDot'));
      return;
    }
    if (this.#length === 0 && this.#inHeader) this.#endHeader(true);
    else this.#pass(NEWLINE, 0, 2);
    this.#length = 0;
    this.#loneDot = false;
    this.#cleanStart = cleanStart;
  }

  #endHeader(separated: boolean): void {
    this.#passRewritten();
    if (this.#refused) return;
    this.#inHeader = false;
    this.#sink.header(this.#header.subarray(0, this.#headerLength), separated);
    this.#header = NO_BYTES;
  }

  /** Behind what came before it, which may be refused for a reason of its own. */
  #refuse(refusal: Refusal): void {
    this.#passRewritten();
    if (this.#refused) return;
    this.#refused = true;
    this.#sink.refuse(refusal);
  }

  #pass(chunk: Buffer, from: number, to: number): void {
    if (to <= from) return;
    if (this.#rewritten !== undefined) {
      this.#rewrittenLength = copyTo(this.#rewritten, this.#rewrittenLength, chunk, from, to);
      return;
    }
    this.#hand(from === 0 && to === chunk.length ? chunk : chunk.subarray(from, to));
  }

  #passRewritten(): void {
    const piece = this.#rewritten?.subarray(0, this.#rewrittenLength);
    if (piece === undefined || piece.length === 0) return;
    this.#rewritten = this.#rewritten?.subarray(this.#rewrittenLength);
    this.#rewrittenLength = 0;
    this.#hand(piece);
  }

  #hand(piece: Buffer): void {
    if (this.#refused) return;
    if (this.#inHeader) this.#keepHeader(piece);
    else this.#sink.body(piece);
  }

  #keepHeader(piece: Buffer): void {
    const { maxHeaderSize } = this.#options;
    const length = this.#headerLength + piece.length;
    if (length > maxHeaderSize) {
      this.#refuse(refusal('headerTooLarge', { octets: maxHeaderSize }));
      return;
    }
    if (this.#headerLength === 0) this.#header = piece;
    else {
      if (length > this.#header.length) {
        const larger = Buffer.allocUnsafeSlow(2 * length);
        this.#header.copy(larger, 0, 0, this.#headerLength);
        this.#header = larger;
      }
      piece.copy(this.#header, this.#headerLength);
    }
    this.#headerLength = length;
  }

  #isLoneDot(chunk: Buffer, lineStart: number, end: number): boolean {
    return end - lineStart === 1 && (lineStart < 0 ? this.#loneDot : chunk[lineStart] === DOT);
  }

  #keepState(chunk: Buffer, lineStart: number, end: number): void {
    this.#loneDot = this.#isLoneDot(chunk, lineStart, end);
    this.#length = end - lineStart;
  }
}

/** @returns where the target ends now. */
function copyTo(target: Buffer, at: number, chunk: Buffer, from: number, to: number): number {
  if (to - from > WORTH_COPY) return at + chunk.copy(target, at, from, to);
  let end = at;
  for (let i = from; i < to; i++) target[end++] = chunk[i]!;
  return end;
}

type Words = { readonly words: Int32Array; readonly from: number };

/** The aligned part of a chunk, four bytes at a time. */
function wordsOf(chunk: Buffer): Words {
  const from = -chunk.byteOffset & 3;
  return { words: new Int32Array(chunk.buffer, chunk.byteOffset + from, (chunk.length - from) >>> 2), from };
}

/** Index of the next byte below 14 (CR, LF, NUL, or the tab, which the caller passes over), or the length. */
function nextControl(chunk: Buffer, start: number, aligned: Words | undefined): number {
  let i = start;
  if (aligned !== undefined) {
    const { words, from } = aligned;
    for (; i < chunk.length && (i < from || ((i - from) & 3) !== 0); i++) {
      if (chunk[i]! < 14) return i;
    }
    if (i === chunk.length) return i;
    let w = (i - from) >> 2;
    // A byte below 14 borrows from its top bit; bytes from 128 up are masked out by ~word.
    while (w < words.length && ((words[w]! - 0x0e0e0e0e) & ~words[w]! & 0x80808080) === 0) w++;
    i = from + 4 * w;
  }
  while (i < chunk.length && chunk[i]! >= 14) i++;
  return i;
}
