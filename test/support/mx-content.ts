/** What comes after 354, up to CRLF.CRLF and nothing else: RFC 5321 §4.1.1.4. */
const CRLF = Buffer.from('\r\n');
const END = Buffer.from('\r\n.\r\n');

export class MxContent {
  /** No byte was looked at yet. */
  fresh = true;
  size = 0;
  /** Begins with the CRLF of the DATA command: a lone dot on the first line ends an empty message. */
  #chunks: Buffer[] = [CRLF];

  push(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.size += chunk.length;
  }

  /** The content with its dots unstuffed, and what came behind it; undefined while the end is missing. */
  end(): { data: Buffer; rest: Buffer } | undefined {
    // The end may begin in the chunk before: the last two are looked at together, and short ones are merged first.
    while (this.#chunks.length > 1 && this.#chunks.at(-1)!.length < END.length) this.#merge();
    const last = this.#chunks.at(-1)!;
    const overlap = this.#chunks.at(-2)?.subarray(-END.length + 1) ?? last.subarray(0, 0);
    const found = Buffer.concat([overlap, last]).indexOf(END);
    if (found < 0) return undefined;
    const whole = Buffer.concat(this.#chunks);
    const at = whole.length - last.length - overlap.length + found;
    return { data: unstuff(whole.subarray(CRLF.length, at + CRLF.length)), rest: whole.subarray(at + END.length) };
  }

  #merge(): void {
    const last = this.#chunks.pop()!;
    this.#chunks.push(Buffer.concat([this.#chunks.pop()!, last]));
  }
}

function unstuff(data: Buffer): Buffer {
  if (!data.includes('\r\n.') && data[0] !== 0x2e) return data;
  const text = data.toString('latin1').replace(/(^|\r\n)\./g, '$1');
  return Buffer.from(text, 'latin1');
}
