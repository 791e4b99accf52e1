/** Every line that begins with a dot gets another one: RFC 5321 §4.5.2. Native searches, and no copy where there is no such line. */
const DOT_LINE = Buffer.from('\r\n.');
const DOT = Buffer.from('.');
const MAX_PIECES = 8;
const DOT_CODE = 0x2e;
const CR_CODE = 0x0d;
const LF_CODE = 0x0a;

/** Stuffs a content that comes in chunks. */
export class DotStuffer {
  /** What the chunks so far end with: the start of the content counts as a line's. */
  #tail: 'line' | 'cr' | 'text' = 'line';

  /** The pieces to send for this chunk, in order; they refer to the chunk. */
  stuff(chunk: Uint8Array): readonly Uint8Array[] {
    if (chunk.length === 0) return [];
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
    const pieces: Uint8Array[] = [];
    let begin = 0;
    if (this.#tail === 'line' && bytes[0] === DOT_CODE) pieces.push(DOT);
    else if (this.#tail === 'cr' && bytes[0] === LF_CODE && bytes[1] === DOT_CODE) {
      pieces.push(bytes.subarray(0, 1), DOT);
      begin = 1;
    }
    for (let at = bytes.indexOf(DOT_LINE, begin); at >= 0; at = bytes.indexOf(DOT_LINE, begin)) {
      pieces.push(bytes.subarray(begin, at + DOT_LINE.length));
      begin = at + DOT_LINE.length - 1; // its dot once more
    }
    pieces.push(begin === 0 ? bytes : bytes.subarray(begin));
    this.#tail = tailOf(bytes, this.#tail);
    // A content full of dots is copied once rather than written in a thousand pieces.
    return pieces.length > MAX_PIECES ? [Buffer.concat(pieces)] : pieces;
  }

  /** What ends the content: CRLF where its last line has none, and the lone dot. RFC 5321 §4.1.1.4. */
  end(): Uint8Array {
    return Buffer.from(this.#tail === 'line' ? '.\r\n' : '\r\n.\r\n');
  }
}

function tailOf(bytes: Buffer, before: 'line' | 'cr' | 'text'): 'line' | 'cr' | 'text' {
  const last = bytes[bytes.length - 1];
  if (last === CR_CODE) return 'cr';
  if (last !== LF_CODE) return 'text';
  return bytes.length > 1 ? (bytes[bytes.length - 2] === CR_CODE ? 'line' : 'text') : before === 'cr' ? 'line' : 'text';
}
