/** Replies: RFC 5321 §4.2, with the status of RFC 3463. */
import { oneLine } from './text.ts';

/** What one mail server answers another. */
export type Reply = {
  readonly code: number;
  readonly status: string;
  readonly text: string;
  /** What the far side said behind the code, where that is not `status` and `text`: quoted instead of them. */
  readonly words?: string;
};

/** Thrown where the client must be refused. An edge answers any other error with 451 4.3.0. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly reply: Reply;
  constructor(code: number, status: string, text: string, options?: ErrorOptions) {
    super(`${code} ${status} ${text}`, options);
    this.reply = { code, status, text };
  }
}

/** A reply line holds at most 512 octets with its CRLF: RFC 5321 §4.5.3.1.5. */
const MAX_LINE = 510;

/** The bytes of a reply, each line with code and status, control characters replaced, CRLF at the end. `status` may be empty. */
export function formatReply({ code, status, text }: Reply): string {
  const lines = text.split('\n');
  return lines
    .map((line, i) => {
      const separator = i === lines.length - 1 ? ' ' : '-';
      return `${`${code}${separator}${status === '' ? '' : `${status} `}${oneLine(line)}`.slice(0, MAX_LINE)}\r\n`;
    })
    .join('');
}

/** A reply on one line for logs, traces and reports, as it came: "550 5.1.1 No such user". */
export function replyLine({ code, status, text, words }: Reply): string {
  const said = words === undefined ? [status, text] : [words];
  return [String(code), ...said]
    .filter((part) => part !== '')
    .join(' ')
    .replaceAll('\n', ' ');
}
