/** A reply as people paste it, and the form in which unknown ones are counted. */
import type { Reply } from '../../smtp/reply.ts';
import { foldText } from './reply-patterns.ts';

const CODE = /^\s*(?:<[^>]*>:?\s*)?(?:smtp;\s*)?([245])(\d\d|xx)(?:[ \t-]+|$)/i;
const STATUS = /^(?:#?([245]\.\d{1,3}\.\d{1,3})\b|-(?= |$))[ \t]*/;

/**
 * Reads `550 5.1.1 No such user`, also of several lines, without a status (or `-` for none), without a code, or with `5xx`. Never throws.
 * Text without a code is taken for a refusal.
 */
export function parseReplyText(text: string): Reply {
  const lines = text.split(/\r?\n/).filter((line) => line.trim() !== '');
  const [first = ''] = lines;
  const code = CODE.exec(first);
  const said = lines.map((line) => line.slice(code === null ? 0 : (CODE.exec(line)?.[0].length ?? 0)));
  const status = STATUS.exec(said[0] ?? '');
  // Each line repeats the status: RFC 2034 §4.
  const whole = said
    .map((line) => line.slice(STATUS.exec(line)?.[0].length ?? 0))
    .join(' ')
    .trim();
  const digit = code?.[1] ?? status?.[1]?.[0] ?? '5';
  const number =
    code === null || code[2]!.toLowerCase() === 'xx'
      ? Number(digit) * 100 + (digit === '5' ? 54 : 50)
      : Number(code[1]! + code[2]!);
  return { code: number, status: status?.[1] ?? '', text: whole };
}

/** Characters of a fingerprint. */
const MAX_FINGERPRINT = 120;

/** The same for replies that differ only in addresses, names, links, numbers and ids: `550 5.7.1 <> message refused (id #)`. */
export function fingerprintOf({ code, status, text }: Reply): string {
  const plain = foldText(text)
    .replace(/<?[^\s<>@]{1,64}@[^\s<>,;:)\]]{1,100}>?/g, '<>')
    .replace(/https?:\/\/\S{1,300}/g, 'url')
    .replace(/(?:[a-z\d_-]{1,63}\.){1,10}[a-z]{2,20}\b/g, 'host')
    .replace(/[a-z\d_=+/-]*\d[a-z\d_=+/.:-]*/g, '#');
  return `${code} ${status === '' ? '' : `${status} `}${plain}`.slice(0, MAX_FINGERPRINT).trimEnd();
}
