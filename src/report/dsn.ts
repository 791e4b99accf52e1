/** A delivery status notification: multipart/report of RFC 6522, RFC 3464; in other scripts by RFC 6533. The one file with nodemailer's composer. */

import MimeNode from 'nodemailer/lib/mime-node';
import type { Reportable, ReportSubject } from '../queue/queue.ts';
import type { DsnAction } from '../smtp/outcome.ts';
import { replyLine } from '../smtp/reply.ts';
import { cleanLine, formatDate, isAscii, wrap } from '../smtp/text.ts';
import { formatStatus } from './dsn-fields.ts';
import type { Original } from './original.ts';

type DsnRequest = {
  readonly hostname: string;
  readonly about: ReportSubject;
  readonly changes: readonly Reportable[];
  readonly action: DsnAction;
  /** Absent: it could not be read. */
  readonly original: Original | undefined;
  readonly now: number;
};

/** The content of the report with the fields that describe it, CRLF throughout. */
export async function composeDsn(request: DsnRequest): Promise<Buffer> {
  const { about, changes, original } = request;
  const global = ![about.reversePath, ...changes.map(({ recipient }) => recipient.address)].every(isAscii);
  // Nothing here names a file or URL; the options make sure that nothing ever does.
  const root = new MimeNode('multipart/mixed', { disableFileAccess: true, disableUrlAccess: true });
  const report = root.createChild('multipart/report; report-type=delivery-status');
  report.createChild('text/plain; charset=utf-8').setContent(formatText(request));
  addStatus(report, formatStatus({ ...request, global }), global);
  if (original !== undefined) addOriginal(report, original);
  // The composer rewrites addresses in header fields (quoted local parts, A-labels), so it makes the content only.
  return report.build();
}

/** The UTF-8 form is encoded, so that it passes servers which know ASCII alone: RFC 6533 §4. */
function addStatus(report: MimeNode, status: string, global: boolean): void {
  const part = report.createChild(global ? 'message/global-delivery-status; charset=utf-8' : 'message/delivery-status');
  if (global) part.setHeader('Content-Transfer-Encoding', 'base64');
  part.setContent(Buffer.from(status));
}

/** A whole message must not be encoded (RFC 2046 §5.2.1), unless its header needs UTF-8: then it is message/global (RFC 6532 §3.7). */
function addOriginal(report: MimeNode, { kind, bytes }: Original): void {
  const header = kind === 'header' ? bytes : bytes.subarray(0, bytes.indexOf('\r\n\r\n') + 2);
  const global = !isAscii(header.toString('latin1'));
  if (kind === 'header') {
    const part = report.createChild(global ? 'message/global-headers; charset=utf-8' : 'text/rfc822-headers');
    if (global) part.setHeader('Content-Transfer-Encoding', 'base64');
    part.setContent(global ? Buffer.from(bytes) : bytes.toString('latin1'));
    return;
  }
  const part = report.createChild(global ? 'message/global' : 'message/rfc822');
  const encoding = global ? 'base64' : isAscii(bytes.toString('latin1')) ? '7bit' : '8bit';
  part.setHeader('Content-Transfer-Encoding', encoding);
  part.setContent(Buffer.from(bytes));
}

/** The name in From of what a sender is told. */
export const REPORTER = 'Mail Delivery System';

export const SUBJECT: Readonly<Record<DsnAction, string>> = {
  failed: 'Your message could not be delivered',
  delayed: 'Your message is delayed',
  relayed: 'Your message was passed on',
};

const OPENING: Readonly<Record<DsnAction, string>> = {
  failed: 'Your message could not be delivered to the recipients named below. It will not be tried again.',
  delayed: 'Your message could not be delivered yet to the recipients named below. You need not do anything: we keep trying.',
  relayed:
    'Your message was passed on to the mail servers of the recipients named below, which will send no report of its delivery.',
};

const CLOSING: Readonly<Record<DsnAction, string>> = {
  failed:
    'Check each address for mistakes and read what its mail server says above. If it looks like a passing problem, send the message again later. If not, ask the recipient in another way, or the person who looks after your mail.',
  delayed: 'You will hear from us again if the message cannot be delivered in the end. Do not send it again.',
  relayed: 'Whether it was read or even put into the mailbox, only the recipient can tell.',
};

type TextFacts = {
  readonly hostname: string;
  readonly about: ReportSubject;
  readonly changes: readonly Reportable[];
  readonly action: DsnAction;
};

/** Lines of at most 76 characters where words allow, CRLF after each. */
export function formatText({ hostname, about, changes, action }: TextFacts): string {
  const id = cleanLine(about.messageId, { max: 300 });
  const lines = [
    ...wrap(`This is the mail relay ${hostname}.`, ''),
    '',
    ...wrap(OPENING[action], ''),
    '',
    ...changes.flatMap(describe),
    ...wrap(CLOSING[action], ''),
    '',
    'The message:',
    `  accepted    ${formatDate(about.acceptedAt)}`,
    ...(id === '' ? [] : wrap(`  Message-ID  ${id}`, '    ')),
    `  queued as   ${about.id}`,
  ];
  return lines.map((line) => `${line}\r\n`).join('');
}

/** The reply stands indented, so that nothing in it looks like our own words. */
function describe({ recipient, action, outcome, willRetryUntil }: Reportable): readonly string[] {
  const lines = [`<${cleanLine(recipient.address)}>`];
  if (action === 'expired') lines.push('    was tried until the time for delivery was over. The last answer:');
  if (outcome !== undefined) lines.push(...wrap(`    ${introduction(outcome.mx, outcome.ip)}`, '    '));
  if (outcome !== undefined) lines.push(...wrap(`        ${readable(replyLine(outcome.reply))}`, '        '));
  if (action === 'delayed' && willRetryUntil !== undefined) lines.push(`    will be tried until ${formatDate(willRetryUntil)}`);
  return [...lines, ''];
}

function introduction(mx: string | undefined, ip: string | undefined): string {
  if (mx === undefined) return 'on our side:';
  return `at ${cleanLine(mx, { max: 255 })}${ip === undefined ? '' : ` [${cleanLine(ip, { max: 50 })}]`}:`;
}

/** Answers in other scripts are shown as they came: this part has a character set of its own. */
const readable = (reply: string) => cleanLine(reply, { ascii: isAscii(reply) });
