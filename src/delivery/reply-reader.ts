/**
 * Replies out of a stream of bytes: RFC 5321 §4.2. Strict, bounded, and indifferent to how the stream is cut into chunks. And a reply
 * in our words: its status found (RFC 3463, RFC 2034), its text made harmless.
 */
import type { Reply } from '../smtp/reply.ts';
import { plainLines } from '../smtp/text.ts';

/** One reply: the text of each line behind code and separator, as received. `code` is that of the last line, or 421. */
export type RemoteReply = { readonly code: number; readonly lines: readonly string[] };

/** What came is no reply. The stream cannot be followed any longer. */
export class MalformedReply extends Error {
  override readonly name = 'MalformedReply';
}

/** Of one reply. */
const MAX_LINES = 1000;
const MAX_SIZE = 1024 * 1024;
/** The standard allows 512 octets, RFC 5321 §4.5.3.1.5; longer ones are seen, endless ones are an attack. */
const MAX_LINE = 64 * 1024;

const LF = '\n';
const CR_CODE = 0x0d;
const SPACE_CODE = 0x20;
const HYPHEN_CODE = 0x2d;

export class ReplyReader {
  /** Octets as latin1; what is before `#position` was read. */
  #text = '';
  #position = 0;
  #lines: string[] = [];
  #code = 0;
  #size = 0;

  push(chunk: Buffer): void {
    const octets = chunk.toString('latin1');
    this.#text = this.#position < this.#text.length ? this.#text.slice(this.#position) + octets : octets;
    this.#position = 0;
  }

  /** Something came that no `next` has returned yet. */
  get pending(): boolean {
    return this.#position < this.#text.length || this.#lines.length > 0;
  }

  /** The next whole reply; undefined while it is incomplete. Throws MalformedReply, and is of no use afterwards. */
  next(): RemoteReply | undefined {
    for (;;) {
      const end = this.#text.indexOf(LF, this.#position);
      if (end < 0) {
        if (this.#text.length - this.#position > MAX_LINE) throw new MalformedReply('a reply line without end');
        return undefined;
      }
      const begin = this.#position;
      this.#position = end + 1;
      this.#measure(end - begin);
      const last = this.#line(this.#text.slice(begin, end > begin && this.#text.charCodeAt(end - 1) === CR_CODE ? end - 1 : end));
      if (last) return this.#finish();
    }
  }

  #measure(length: number): void {
    this.#size += length;
    if (length > MAX_LINE || this.#size > MAX_SIZE) throw new MalformedReply('a reply without end');
    if (this.#lines.length >= MAX_LINES) throw new MalformedReply(`a reply of more than ${MAX_LINES} lines`);
  }

  /** True for the last line of a reply. */
  #line(line: string): boolean {
    const code = codeOf(line);
    const separator = line.length > 3 ? line.charCodeAt(3) : SPACE_CODE;
    if (code === undefined || (separator !== SPACE_CODE && separator !== HYPHEN_CODE)) {
      throw new MalformedReply(`no SMTP reply: "${line.slice(0, 80)}"`);
    }
    this.#code = this.#lines.length === 0 ? code : joined(this.#code, code);
    this.#lines.push(decodeUtf8(line.slice(4)));
    return separator === SPACE_CODE;
  }

  #finish(): RemoteReply {
    const reply = { code: this.#code, lines: this.#lines };
    this.#lines = [];
    this.#size = 0;
    return reply;
  }
}

/**
 * The code of a reply whose lines disagree: RFC 5321 §4.2.1 wants one code on all lines. The class decides what the client does
 * (§4.2), so lines of one class are one reply, and the last line names the code. 421 stays: the host closes the connection.
 */
function joined(before: number, code: number): number {
  if (Math.floor(before / 100) !== Math.floor(code / 100)) throw new MalformedReply(`a reply with codes ${before} and ${code}`);
  return before === 421 ? before : code;
}

/** Three digits, the first 2 to 5: RFC 5321 §4.2.1. The others may be any, servers are inventive there. */
function codeOf(line: string): number | undefined {
  const a = line.charCodeAt(0) - 0x30;
  const b = line.charCodeAt(1) - 0x30;
  const c = line.charCodeAt(2) - 0x30;
  return a >= 2 && a <= 5 && b >= 0 && b <= 9 && c >= 0 && c <= 9 ? a * 100 + b * 10 + c : undefined;
}

/** Replies are ASCII, or UTF-8 under RFC 6531 §3.7.4. */
function decodeUtf8(octets: string): string {
  return /[\x80-\xff]/.test(octets) ? Buffer.from(octets, 'latin1').toString('utf8') : octets;
}

/** Characters of a reply that are kept; reports and traces quote no more. */
const MAX_TEXT = 2000;
const STATUS = /^([245])\.(\d{1,3})\.(\d{1,3})(?: +|$)/;

/**
 * The text keeps its lines, separated by LF. No other control character stays. A status that is missing, or contradicts the code,
 * becomes X.0.0; `words` keeps what was said.
 * @param asClass what the reply counts as, where that is not what its code says (552 at RCPT).
 */
export function toReply({ code, lines }: RemoteReply, asClass = Math.floor(code / 100)): Reply {
  const first = lines[0] ?? '';
  const match = STATUS.exec(first);
  const fitting = match !== null && Number(match[1]) === Math.floor(code / 100) ? match : null;
  const status = fitting === null ? `${asClass}.0.0` : `${asClass}.${fitting[2]}.${fitting[3]}`;
  if (fitting === null) {
    const words = cleanReply(lines.length === 1 ? first : lines.join('\n'));
    return { code, status, text: words, words };
  }
  const own = first.startsWith(status) ? undefined : { words: cleanReply(lines.join('\n')) };
  if (lines.length === 1) return { code, status, text: cleanReply(first.slice(fitting[0].length)), ...own };
  // Each line repeats the status: RFC 2034 §4.
  const text = lines.map((line) =>
    line.startsWith(fitting[0].trimEnd()) ? line.slice(fitting[0].trimEnd().length).trimStart() : line,
  );
  return { code, status, text: cleanReply(text.join('\n')), ...own };
}

/** @param text may come from anywhere. */
export function cleanReply(text: string): string {
  const short = text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text;
  return /[^\x20-\x7e\n]/.test(short) ? plainLines(short) : short;
}
