/** One message about many: for a sender who had as many reports in an hour as one gets. RFC 3834 §5 */
import type { Summarized, SummaryFunction } from '../queue/queue.ts';
import { newQueueId } from '../smtp/queue-id.ts';
import { replyLine } from '../smtp/reply.ts';
import { clean, formatDate, isAscii, wrap } from '../smtp/text.ts';
import { systemClock } from '../system/clock.ts';
import { statusOf } from './dsn-fields.ts';
import { prepareOwn } from './own-mail.ts';
import type { ReporterOptions } from './report.ts';

/** Of a reply; the log and `smarthost trace` have all of it. */
const MOST_WORDS = 300;
const HEADINGS = {
  failed: 'Could not be delivered, and will not be tried again:',
  delayed: 'Not delivered yet; we keep trying:',
  relayed: 'Passed on to the mail servers of the recipients:',
} as const;

export function createSummarizer(options: ReporterOptions): SummaryFunction {
  const { hostname, from, now: clock = systemClock } = options;
  return async (sender, about) => {
    const now = clock();
    const id = newQueueId(now);
    return prepareOwn(compose({ hostname, from, sender, about, id, now }), { ...options, id, to: sender, now });
  };
}

type SummaryText = {
  readonly hostname: string;
  readonly from: string;
  readonly sender: string;
  readonly about: readonly Summarized[];
  readonly id: string;
  readonly now: number;
};

function compose({ hostname, from, sender, about, id, now }: SummaryText): Buffer {
  const recipients = about.reduce((sum, { changes }) => sum + changes.length, 0);
  const body = [
    ...wrap(`This is the mail relay ${hostname}.`, ''),
    '',
    ...wrap(
      `In the last hour you had so many reports that we tell the rest together: ${recipients} recipients of ${about.length} messages.`,
      '',
    ),
    ...(['failed', 'delayed', 'relayed'] as const).flatMap((action) => section(about, action)),
  ];
  const fields = [
    ['From', `Mail Delivery System <${from}>`],
    ['To', `<${sender}>`],
    ['Subject', `What became of ${about.length} of your messages`],
    ['Date', formatDate(now)],
    ['Message-ID', `<${id}@${hostname}>`],
    ['Auto-Submitted', 'auto-replied'],
    ['MIME-Version', '1.0'],
    ['Content-Type', 'text/plain; charset=utf-8'],
    ['Content-Transfer-Encoding', body.every(isAscii) ? '7bit' : '8bit'],
  ] as const;
  const lines = [...fields.flatMap(([name, value]) => wrap(`${name}: ${clean(value)}`, ' ')), '', ...body];
  return Buffer.from(lines.map((line) => `${line}\r\n`).join(''));
}

function section(about: readonly Summarized[], action: keyof typeof HEADINGS): readonly string[] {
  const lines = about.flatMap(({ message, changes }) => {
    const told = changes.filter((change) => (change.action === 'expired' ? 'failed' : change.action) === action);
    if (told.length === 0) return [];
    const name = clean(message.messageId, { max: MOST_WORDS });
    return [
      '',
      ...wrap(
        `  ${name === '' ? 'A message' : name}, accepted ${formatDate(message.acceptedAt)}, queued as ${message.id}`,
        '    ',
      ),
      ...told.flatMap((change) => {
        const { recipient, outcome } = change;
        const said = outcome === undefined ? '' : `: ${clean(replyLine(outcome.reply), { max: MOST_WORDS })}`;
        return wrap(`    <${clean(recipient.address, { max: 320 })}> ${statusOf(change, action)}${said}`, '        ');
      }),
    ];
  });
  return lines.length === 0 ? [] : ['', HEADINGS[action], ...lines];
}
