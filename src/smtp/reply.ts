/** Replies: RFC 5321 §4.2, with the status of RFC 3463. */
import { oneLine } from './text.ts';

/** The reply of a mail server. */
export type Reply = {
  readonly code: number;
  readonly status: string;
  readonly text: string;
  /** The text after the code as the destination sent it, if it differs from `status` and `text`. It is quoted instead of them. */
  readonly words?: string;
};

/** Thrown to refuse a client. Any other error is answered with 451 4.3.0 at the edge. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly reply: Reply;
  constructor(code: number, status: string, text: string, options?: ErrorOptions) {
    super(`${code} ${status} ${text}`, options);
    this.reply = { code, status, text };
  }
}

/** A reply line has at most 512 octets with its CRLF: RFC 5321 §4.5.3.1.5. */
const MAX_LINE = 510;

/** The bytes of a reply, each line with code and status, control characters replaced, CRLF at the end. `status` may be empty. */
export function formatReply({ code, status, text }: Reply): string {
  const begin = status === '' ? '' : `${status} `;
  const format = (line: string, separator: ' ' | '-') =>
    `${`${code}${separator}${begin}${oneLine(line)}`.slice(0, MAX_LINE)}\r\n`;
  if (!text.includes('\n')) return format(text, ' ');
  const lines = text.split('\n');
  return lines.map((line, i) => format(line, i === lines.length - 1 ? ' ' : '-')).join('');
}

/** A reply on one line for logs, traces and reports, as it was received: "550 5.1.1 No such user". */
export function replyLine({ code, status, text, words }: Reply): string {
  const said = words ?? (status === '' || text === '' ? status + text : `${status} ${text}`);
  const line = said === '' ? String(code) : `${code} ${said}`;
  return line.includes('\n') ? line.replaceAll('\n', ' ') : line;
}
