/** Tells the sender: which outcomes are worth a report, one report per action, through preparation so that it is signed. RFC 3461 §6 */
import type { Preparation, PreparationRequest } from '../preparation/preparation.ts';
import type { Report, Reportable, ReportFunction, ReportSubject } from '../queue/queue.ts';
import type { Envelope } from '../smtp/envelope.ts';
import { newQueueId } from '../smtp/queue-id.ts';
import { isAscii } from '../smtp/text.ts';
import { type Clock, systemClock } from '../system/clock.ts';
import type { MailLog } from '../system/mail-log.ts';
import { composeDsn } from './dsn.ts';
import type { Action } from './dsn-fields.ts';
import { type Original, readOriginal } from './original.ts';

export { type LimitFacts, limitNotice } from './limit-notice.ts';
export { type Notice, type NoticeOptions, sendNotice } from './notice.ts';

export type ReporterOptions = {
  readonly hostname: string;
  /** Address of the From field: `postmaster@HOSTNAME`. */
  readonly from: string;
  readonly preparation: { start(request: PreparationRequest): Preparation };
  /** How long a report is tried, ms. */
  readonly reportLifetime: number;
  readonly destinationOf: (message: { user: string | null; reversePath: string }, address: string) => string;
  /** False: the route of the report's recipient asks for no signature of ours. */
  readonly signs: (message: { user: string | null; reversePath: string }, address: string) => boolean;
  readonly log: MailLog;
  readonly now?: Clock;
};

const ACTIONS: readonly Action[] = ['failed', 'delayed', 'relayed'];

export function createReporter(options: ReporterOptions): ReportFunction {
  const { log, now = systemClock } = options;
  return async (about, changes) => {
    const reports: Report[] = [];
    for (const action of ACTIONS) {
      const told = changes.filter((change) => actionOf(change) === action && isWanted(change));
      if (told.length === 0) continue;
      // Nobody stands behind the null reverse-path: such mail ends in event and log (RFC 5321 §6.1).
      if (about.reversePath === '') log.event.info('notReported', { queueId: about.id, action, reason: 'null reverse-path' });
      else reports.push(await write({ ...options, about, changes: told, action, now: now() }));
    }
    return reports;
  };
}

const actionOf = ({ action }: Reportable): Action => (action === 'expired' ? 'failed' : action);

/** NOTIFY of RFC 3461 §4.1; without it failure and delay. */
export function isWanted({ recipient, action, outcome }: Reportable): boolean {
  const notify = recipient.notify ?? ['FAILURE', 'DELAY'];
  if (action === 'delayed') return notify.includes('DELAY');
  if (action !== 'relayed') return notify.includes('FAILURE');
  // A server that took the parameters over reports success itself: RFC 3461 §5.2.1.
  return notify.includes('SUCCESS') && !(outcome?.kind === 'relayed' && outcome.dsnPassedOn);
}

type WriteRequest = Omit<ReporterOptions, 'now'> & {
  readonly about: ReportSubject;
  readonly changes: readonly Reportable[];
  readonly action: Action;
  readonly now: number;
};

async function write(request: WriteRequest): Promise<Report> {
  const { hostname, from, about, changes, action, now, destinationOf } = request;
  const id = newQueueId(now);
  const original = await quotable(request);
  const bytes = await composeDsn({ hostname, from, id, about, changes, action, original, now });
  const prepared = await prepare(request, id, bytes);
  const address = about.reversePath;
  const { content, size, messageId, signatures, needsSmtpUtf8, eightBit } = prepared;
  return {
    ...{ id, action, user: null, reversePath: '', messageId, size, needsSmtpUtf8, signatures, content },
    acceptedAt: now,
    expiresAt: now + request.reportLifetime,
    body: eightBit ? '8BITMIME' : '7BIT',
    about: about.id,
    recipients: [{ address, destination: destinationOf({ user: null, reversePath: '' }, address), notify: ['NEVER'] }],
  };
}

/** A report without a quotation is better than none. */
async function quotable({ about, action, log }: WriteRequest): Promise<Original | undefined> {
  if (about.content === undefined) return undefined;
  try {
    // RFC 3461 §4.3: RET is about failures; other reports quote the header.
    return await readOriginal(about.content, action === 'failed' && about.ret === 'FULL');
  } catch (error) {
    log.event.error('originalUnreadable', { queueId: about.id, error });
    return undefined;
  }
}

async function prepare({ about, preparation, now, signs }: WriteRequest, queueId: string, bytes: Buffer) {
  const envelope: Envelope = {
    reversePath: '',
    recipients: [{ address: about.reversePath }],
    body: '8BITMIME',
    smtpUtf8: !isAscii(about.reversePath),
  };
  const sign = signs({ user: null, reversePath: '' }, about.reversePath);
  const running = preparation.start({ queueId, now, envelope, kind: 'report', sign });
  try {
    await running.write(bytes);
    return await running.finish();
  } catch (error) {
    await running.abort();
    throw error;
  }
}
