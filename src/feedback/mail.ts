/** The parts of a mail that may be a report: as much of MIME as that needs. RFC 2045, RFC 2046 §5.1. */
import { refuse } from './refusal.ts';

export type MailPart = {
  /** Media type in lower case, without parameters. */
  readonly type: string;
  readonly parameters: ReadonlyMap<string, string>;
  readonly header: ReadonlyMap<string, string>;
  readonly content: Buffer;
};

const EQUALS = 0x3d;
const LF = 0x0a;
const MOST_PARTS = 100;
/** Lines that begin like a boundary. */
const MOST_MARKS = 10_000;
/** Characters of a Content-Type that are read. */
const LONGEST_TYPE = 4000;
const DEEPEST = 5;
const LONGEST_HEADER = 256 * 1024;

/** The header's fields by lower-case name, the first of each name, and where the text begins. */
export function readHeader(bytes: Buffer): { readonly header: ReadonlyMap<string, string>; readonly text: number } {
  const head = bytes.toString('latin1', 0, LONGEST_HEADER);
  const found = /^\r?\n|\r?\n\r?\n/.exec(head);
  const end = found === null ? head.length : found.index;
  const header = new Map<string, string>();
  for (const line of head.slice(0, end).split(/\r?\n(?![ \t])/)) {
    const colon = line.indexOf(':');
    const name = line.slice(0, Math.max(colon, 0)).trim().toLowerCase();
    if (name !== '' && !header.has(name))
      header.set(
        name,
        line
          .slice(colon + 1)
          .replace(/\r?\n/g, '')
          .trim(),
      );
  }
  return { header, text: found === null ? bytes.length : found.index + found[0].length };
}

/** All fields of one name, unfolded. */
export function fieldsOf(bytes: Buffer, name: string): readonly string[] {
  const head = bytes.toString('latin1', 0, LONGEST_HEADER).split(/\r?\n\r?\n/, 1)[0]!;
  const wanted = `${name.toLowerCase()}:`;
  return head
    .split(/\r?\n(?![ \t])/)
    .filter((line) => line.slice(0, wanted.length).toLowerCase() === wanted)
    .map((line) => line.slice(wanted.length).replace(/\r?\n/g, '').trim());
}

export function partOf(bytes: Buffer): MailPart {
  const { header, text } = readHeader(bytes);
  const field = (header.get('content-type') ?? 'text/plain').slice(0, LONGEST_TYPE);
  const parameters = new Map<string, string>();
  for (const [, name, quoted, plain] of field.matchAll(/;\s*([\w-]{1,40})\s*=\s*(?:"([^"\r\n]{0,998})"|([^\s;"]{1,998}))/g))
    parameters.set(name!.toLowerCase(), quoted ?? plain!);
  const type = field.split(';', 1)[0]!.trim().toLowerCase();
  return { type, parameters, header, content: bytes.subarray(text) };
}

/** The parts of a multipart, in their order. @throws FeedbackRefusal */
export function partsOf({ content, parameters }: MailPart): readonly MailPart[] {
  const boundary = parameters.get('boundary') ?? '';
  if (boundary === '' || boundary.length > 70) refuse('The mail is not well-formed: a multipart has no boundary.');
  const mark = Buffer.from(`--${boundary}`, 'latin1');
  const parts: MailPart[] = [];
  let start = -1;
  let marks = 0;
  for (let at = content.indexOf(mark); at >= 0; at = content.indexOf(mark, at + mark.length)) {
    if (at > 0 && content[at - 1] !== 0x0a) continue;
    marks += 1;
    if (marks > MOST_MARKS) refuse('The mail is not well-formed: too many lines look like the boundary of a part.');
    const after = content.toString('latin1', at + mark.length, at + mark.length + 80);
    if (!/^(?:--)?[ \t]*(?:\r?\n|$)/.test(after)) continue;
    if (start >= 0) parts.push(partOf(content.subarray(start, at - (content[at - 2] === 0x0d ? 2 : 1))));
    if (parts.length > MOST_PARTS) refuse(`The mail has more than ${MOST_PARTS} parts.`);
    const end = content.indexOf(0x0a, at + mark.length);
    if (after.startsWith('--') || end < 0) return parts;
    start = end + 1;
  }
  return refuse('The mail ends too early: its last part is not whole.');
}

/** The content as octets, without its transfer encoding. @throws FeedbackRefusal */
export function decodedContent({ header, content }: MailPart): Buffer {
  const encoding = (header.get('content-transfer-encoding') ?? '7bit').toLowerCase();
  if (encoding === 'base64') {
    const text = content.toString('latin1');
    if (!/^[A-Za-z0-9+/=\s]*$/.test(text)) refuse('An attachment of the mail is damaged: it is not base64.');
    return Buffer.from(text, 'base64');
  }
  return encoding === 'quoted-printable' ? unquoted(content) : content;
}

/** RFC 2045 §6.7, without a string of the whole: an equals sign is followed by two hexadecimal digits, or by a line end that does not count. */
function unquoted(content: Buffer): Buffer {
  const result = Buffer.alloc(content.length);
  let size = 0;
  for (let at = 0; at < content.length; at += 1) {
    if (content[at] !== EQUALS) result[size] = content[at]!;
    else {
      const octet = hexDigit(content[at + 1]) * 16 + hexDigit(content[at + 2]);
      if (octet >= 0) {
        result[size] = octet;
        at += 2;
      } else {
        at = content.indexOf(LF, at);
        if (at < 0) break;
        continue;
      }
    }
    size += 1;
  }
  return result.subarray(0, size);
}

/** @returns a number so low that no octet comes of it for what is no digit. */
function hexDigit(code = 0): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const letter = code & 0xdf;
  return letter >= 0x41 && letter <= 0x46 ? letter - 0x37 : -1000;
}

/** All parts that are no multipart, those of attached mails too; of `stop` it gives the multipart itself. @throws FeedbackRefusal */
export function* leavesOf(part: MailPart, stop: (part: MailPart) => boolean, depth = 0): Generator<MailPart> {
  if (depth > DEEPEST) refuse(`The mail is nested deeper than ${DEEPEST} parts.`);
  if (stop(part)) yield part;
  else if (part.type.startsWith('multipart/')) {
    for (const one of partsOf(part)) yield* leavesOf(one, stop, depth + 1);
  } else if (part.type === 'message/rfc822') yield* leavesOf(partOf(decodedContent(part)), stop, depth + 1);
  else yield part;
}
