/**
 * Reads command lines from bytes: RFC 5321 §2.3.8 and §4.5.3.1.4. A line ends at CRLF. A line that ends at a bare LF, is too long or is
 * no text is a problem, and is not executed.
 */
import { isUtf8 } from 'node:buffer';

/** Octets with CRLF. More than RFC 5321 asks for, because extensions add parameters, and RFC 4954 §4 asks for more at AUTH. */
const MAX_LINE = 4096;
const MAX_AUTH_LINE = 12_288;
const LF = 0x0a;
const CR = 0x0d;
const EMPTY = Buffer.alloc(0);

/** `text` is the beginning of the line, which has its verb. */
export type LineProblem = {
  readonly problem: 'bare newline' | 'too long' | 'control character' | 'not utf-8';
  readonly text: string;
  /** The whole line where only its characters are wrong. U+FFFD stands for each that is no UTF-8. */
  readonly line?: string;
};

export class CommandReader {
  #bytes: Buffer = EMPTY;
  #at = 0;
  /** The rest of a line that was too long is still coming. */
  #dropping = false;

  /** @returns true where no bytes waited before, so that a line begins with this chunk. */
  push(chunk: Buffer): boolean {
    const isFirst = this.#at === this.#bytes.length;
    this.#bytes = isFirst ? chunk : Buffer.concat([this.#bytes.subarray(this.#at), chunk]);
    this.#at = 0;
    return isFirst;
  }

  /** How many bytes wait to be read. */
  get pending(): number {
    return this.#bytes.length - this.#at;
  }

  /** Takes all bytes that wait: the text of a message follows its command in the same bytes. */
  takeAll(): Buffer {
    const rest = this.#at === 0 ? this.#bytes : this.#bytes.subarray(this.#at);
    this.#bytes = EMPTY;
    this.#at = 0;
    return rest;
  }

  /**
   * The next line without its CRLF. Undefined: more bytes are needed.
   * @param isAuth the line continues an AUTH exchange and may be long.
   */
  next(isAuth = false): string | LineProblem | undefined {
    const end = this.#bytes.indexOf(LF, this.#at);
    if (this.#dropping) {
      if (end === -1) {
        this.takeAll();
        return undefined;
      }
      this.#dropping = false;
      this.#at = end + 1;
      return this.next(isAuth);
    }
    const length = (end === -1 ? this.#bytes.length : end + 1) - this.#at;
    if (length > MAX_LINE && length > this.#limit(isAuth)) return this.#tooLong(end);
    if (end === -1) return undefined;
    const start = this.#at;
    this.#at = end + 1;
    if (end === start || this.#bytes[end - 1] !== CR) {
      return { problem: 'bare newline', text: this.#bytes.toString('latin1', start, Math.min(end, start + 4)) };
    }
    return this.#text(start, end - 1);
  }

  #limit(isAuth: boolean): number {
    return isAuth || /^auth /i.test(this.#bytes.toString('latin1', this.#at, this.#at + 5)) ? MAX_AUTH_LINE : MAX_LINE;
  }

  #tooLong(end: number): LineProblem {
    const text = this.#bytes.toString('latin1', this.#at, this.#at + 4);
    if (end === -1) {
      this.#dropping = true;
      this.takeAll();
    } else {
      this.#at = end + 1;
    }
    return { problem: 'too long', text };
  }

  #text(start: number, end: number): string | LineProblem {
    const text = this.#bytes.toString('latin1', start, end);
    if (!/[^\x20-\x7e]/.test(text)) return text;
    const verb = text.slice(0, 4);
    if (/[\x00-\x1f\x7f]/.test(text)) return { problem: 'control character', text: verb };
    if (isUtf8(this.#bytes.subarray(start, end))) return this.#bytes.toString('utf8', start, end);
    // Devices call themselves by a name in ISO 8859-1. The relay makes nothing of that name.
    if (/^(?:EHLO|HELO) /i.test(text)) return text;
    return { problem: 'not utf-8', text: verb, line: this.#bytes.toString('utf8', start, end) };
  }
}

/** Verbs that this relay executes, that other servers know, or that browsers send. */
const KNOWN = new Set(
  'EHLO HELO STARTTLS AUTH MAIL RCPT DATA RSET NOOP VRFY QUIT EXPN HELP BDAT ETRN TURN ATRN SEND SOML SAML XCLIENT XFORWARD PROXY GET POST PUT HEAD DELETE OPTIONS CONNECT TRACE PATCH PRI'.split(
    ' ',
  ),
);

/** Empty for an unknown verb: after a refused AUTH the "verb" may be a password, which no log may hold. */
export function loggedVerb(verb: string): string {
  return KNOWN.has(verb) ? verb : '';
}
