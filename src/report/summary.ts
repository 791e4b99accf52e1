/** One message about many: for a sender who had as many reports in an hour as one gets. RFC 3834 §5 */
import { type OwnMail, prepareOwnMail, textContent } from '../preparation/preparation.ts';
import type { Summarized, SummaryFunction } from '../queue/queue.ts';
import { newQueueId } from '../smtp/queue-id.ts';
import { replyLine } from '../smtp/reply.ts';
import { cleanLine, formatDate, wrap } from '../smtp/text.ts';
import { systemClock } from '../system/clock.ts';
import { REPORTER } from './dsn.ts';
import { statusOf } from './dsn-fields.ts';
import type { ReporterOptions } from './report.ts';

/** Of a reply; the log and `smarthost trace` have all of it. */
const MOST_WORDS = 300;
const HEADINGS = {
  failed: 'Could not be delivered, and will not be tried again:',
  delayed: 'Not delivered yet; we keep trying:',
  relayed: 'Passed on to the mail servers of the recipients:',
} as const;

export function createSummarizer(options: ReporterOptions): SummaryFunction {
  const { hostname, from, reportLifetime: lifetime, now: clock = systemClock } = options;
  return async (sender, about) => {
    const now = clock();
    const mail: OwnMail = {
      ...{ id: newQueueId(now), now, lifetime, reversePath: '', to: sender, content: textContent(textOf(hostname, about)) },
      from: { name: REPORTER, address: from },
      subject: `What became of ${about.length} of your messages`,
      autoSubmitted: 'auto-replied',
    };
    return prepareOwnMail(mail, options);
  };
}

function textOf(hostname: string, about: readonly Summarized[]): readonly string[] {
  const recipients = about.reduce((sum, { changes }) => sum + changes.length, 0);
  return [
    `This is the mail relay ${hostname}.`,
    '',
    `In the last hour you had so many reports that we tell the rest together: ${recipients} recipients of ${about.length} messages.`,
    ...(['failed', 'delayed', 'relayed'] as const).flatMap((action) => section(about, action)),
  ];
}

function section(about: readonly Summarized[], action: keyof typeof HEADINGS): readonly string[] {
  const lines = about.flatMap(({ message, changes }) => {
    const told = changes.filter((change) => (change.action === 'expired' ? 'failed' : change.action) === action);
    if (told.length === 0) return [];
    const name = cleanLine(message.messageId, { max: MOST_WORDS });
    return [
      '',
      ...wrap(
        `  ${name === '' ? 'A message' : name}, accepted ${formatDate(message.acceptedAt)}, queued as ${message.id}`,
        '    ',
      ),
      ...told.flatMap((change) => {
        const { recipient, outcome } = change;
        const said = outcome === undefined ? '' : `: ${cleanLine(replyLine(outcome.reply), { max: MOST_WORDS })}`;
        return wrap(`    <${cleanLine(recipient.address)}> ${statusOf(change, action)}${said}`, '        ');
      }),
    ];
  });
  return lines.length === 0 ? [] : ['', HEADINGS[action], ...lines];
}
