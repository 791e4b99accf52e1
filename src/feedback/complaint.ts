/** A complaint of a receiver's user about a mail, in the Abuse Reporting Format: RFC 5965. */
import { isIP } from 'node:net';
import { canonicalAddress, plainAddress } from '../net/addresses.ts';
import { cleanLine } from '../smtp/text.ts';
import { decodedContent, fieldsOf, type MailPart, partsOf, readHeader } from './mail.ts';
import { refuse } from './refusal.ts';
import { keyName, type Own } from './sums.ts';

/** Null: the report does not say. Receivers black out what names the person who complains. */
export type Complaint = {
  /** `abuse`, `fraud`, `virus`, `not-spam`, `auth-failure`, `other` … */
  readonly type: string;
  /** The program that wrote it. */
  readonly reporter: string | null;
  /** When the mail came to the receiver, as written. */
  readonly arrived: string | null;
  readonly source: string | null;
  readonly sender: string | null;
  readonly recipients: readonly string[];
  readonly domain: string | null;
  /** How many such complaints this one stands for. */
  readonly incidents: number;
  /** Of the mail that it is about. */
  readonly messageId: string | null;
  readonly from: string | null;
  readonly subject: string | null;
  /** It has a signature that names a key of ours, or came from an address of ours. */
  readonly ours: boolean;
};

const MOST_VALUES = 20;
const MOST_INCIDENTS = 1e9;
const LONGEST = 300;
const LONGEST_SIGNATURE = 4000;

/** True for the multipart that is such a report, RFC 5965 §2. */
export function isComplaint({ type, parameters }: MailPart): boolean {
  return type === 'multipart/report' && parameters.get('report-type')?.toLowerCase() === 'feedback-report';
}

/** @throws FeedbackRefusal */
export function readComplaint(part: MailPart, own: Own): Complaint {
  const parts = partsOf(part);
  const about = parts.find(({ type }) => type === 'message/feedback-report');
  if (about === undefined) return refuse('The complaint is not well-formed: it has no part message/feedback-report.');
  const fields = decodedContent(about);
  const { header } = readHeader(fields);
  const type = header.get('feedback-type');
  if (type === undefined) return refuse('The complaint is not well-formed: it has no Feedback-Type.');
  const mail = parts.find((one) => ['message/rfc822', 'text/rfc822-headers', 'message/rfc822-headers'].includes(one.type));
  const original = mail === undefined ? Buffer.alloc(0) : decodedContent(mail);
  const { header: fieldsOfMail } = readHeader(original);
  const address = canonicalAddress(plainAddress((header.get('source-ip') ?? '').replace(/^\[|\]$/g, '')));
  const source = isIP(address) === 0 ? null : address;
  const incidents = header.get('incidents') ?? '';
  return {
    type: cleanLine(type, { max: LONGEST }).toLowerCase(),
    reporter: textOf(header.get('user-agent')),
    arrived: textOf(header.get('arrival-date') ?? header.get('received-date')),
    source,
    sender: textOf(header.get('original-mail-from')),
    recipients: fieldsOf(fields, 'original-rcpt-to').slice(0, MOST_VALUES).map(clean),
    domain: textOf(header.get('reported-domain'))?.toLowerCase() ?? null,
    incidents: /^\d{1,9}$/.test(incidents) ? Math.min(Number(incidents), MOST_INCIDENTS) : 1,
    messageId: textOf(fieldsOfMail.get('message-id')),
    from: textOf(fieldsOfMail.get('from')),
    subject: textOf(fieldsOfMail.get('subject')),
    ours: (source !== null && own.addresses.has(source)) || isSignedByUs(original, own),
  };
}

function isSignedByUs(original: Buffer, { keys }: Own): boolean {
  return fieldsOf(original, 'dkim-signature')
    .slice(0, MOST_VALUES)
    .some((whole) => {
      const field = whole.slice(0, LONGEST_SIGNATURE);
      const tag = (name: string) => new RegExp(`(?:^|;)\\s*${name}\\s*=\\s*([^;\\s]{1,255})`).exec(field)?.[1] ?? '';
      return keys.has(keyName({ selector: tag('s'), domain: tag('d') }));
    });
}

function textOf(text: string | undefined): string | null {
  return text === undefined || text === '' ? null : clean(text);
}

function clean(text: string): string {
  return cleanLine(Buffer.from(text, 'latin1').toString('utf8'), { max: LONGEST });
}
