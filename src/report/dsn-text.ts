/** The part of a report that people read. */
import type { Reportable, ReportSubject } from '../queue/queue.ts';
import { replyLine } from '../smtp/reply.ts';
import { cleanLine, formatDate, isAscii, wrap } from '../smtp/text.ts';
import type { DsnAction } from './dsn-fields.ts';

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
