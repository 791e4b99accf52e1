/** A far side's reply in our words: its status found, its text made harmless. RFC 3463, RFC 2034. */
import type { Reply } from '../smtp/reply.ts';
import { plainLines } from '../smtp/text.ts';
import type { RemoteReply } from './reply-reader.ts';

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
