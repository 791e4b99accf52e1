/** Tells the sender: one report for each Action, through preparation so that it is signed. RFC 3461 §6 */

import type { EventLog } from '../events/events.ts';
import { type OwnMail, type OwnMailOptions, prepareOwnMail } from '../preparation/preparation.ts';
import type { Report, Reportable, ReportFunction, ReportSubject } from '../queue/queue.ts';
import type { DsnAction } from '../smtp/outcome.ts';
import { newQueueId } from '../smtp/queue-id.ts';
import { type Clock, systemClock } from '../system/clock.ts';
import { composeDsn, REPORTER, SUBJECT } from './dsn.ts';
import { type Original, readOriginal } from './original.ts';

export { alignmentNotice } from './alignment-notice.ts';
export { blockNotice } from './block-notice.ts';
export { fallbackNotice } from './fallback-notice.ts';
export { limitNotice } from './limit-notice.ts';
export { loginHeldNotice, loginUnusualNotice } from './login-notice.ts';
export { type OperatorNotice, sendNotice } from './notice.ts';
export { createSummarizer } from './summary.ts';
export { tlsReport } from './tls-report.ts';
export {
  ASKED_FOR,
  SUPPRESSED_UNTIL,
  startTlsReportRun,
  type TlsReportOptions,
} from './tls-report-run.ts';

export type ReporterOptions = OwnMailOptions & {
  /** Address of the From field: `postmaster@HOSTNAME`. */
  readonly from: string;
  /** How long a report is tried, ms. */
  readonly reportLifetime: number;
  readonly log: EventLog;
  readonly now?: Clock;
};

/** The Action of RFC 3464 §2.3.3: giving up is a failure. */
const REPORTED_AS = { failed: 'failed', expired: 'failed', delayed: 'delayed', relayed: 'relayed' } as const;
const ACTIONS: readonly DsnAction[] = ['failed', 'delayed', 'relayed'];

export function createReporter(options: ReporterOptions): ReportFunction {
  const { now = systemClock } = options;
  return async (about, changes) => {
    const reports: Report[] = [];
    for (const action of ACTIONS) {
      const told = changes.filter((change) => REPORTED_AS[change.action] === action);
      if (told.length > 0) reports.push(await write({ ...options, about, changes: told, action, now: now() }));
    }
    return reports;
  };
}

type WriteRequest = Omit<ReporterOptions, 'now'> & {
  readonly about: ReportSubject;
  readonly changes: readonly Reportable[];
  readonly action: DsnAction;
  readonly now: number;
};

async function write(request: WriteRequest): Promise<Report> {
  const { hostname, from, about, changes, action, now, reportLifetime: lifetime } = request;
  const content = await composeDsn({ hostname, about, changes, action, original: await quotable(request), now });
  const mail: OwnMail = {
    ...{ id: newQueueId(now), now, lifetime, reversePath: '', to: about.reversePath, content },
    from: { name: REPORTER, address: from },
    subject: SUBJECT[action],
    autoSubmitted: 'auto-replied',
    // The report goes the way that the message was allowed to go: RFC 8689 §3 and §5.
    ...(about.tlsOptional ? { fields: [['TLS-Required', 'No']] } : {}),
    inReplyTo: /^<[^\s<>]{1,500}>$/.test(about.messageId) ? about.messageId : undefined,
  };
  const needs = about.requireTls ? { requireTls: true } : about.tlsOptional ? { tlsOptional: true } : {};
  return { ...(await prepareOwnMail(mail, request)), ...needs, action, about: about.id };
}

/** A report without a quotation is better than none. */
async function quotable({ about, action, log }: WriteRequest): Promise<Original | undefined> {
  if (about.content === undefined) return undefined;
  try {
    // RFC 3461 §4.3: RET is about failures; other reports quote the header. The way back may not be safe enough for the text: RFC 8689 §5.
    return await readOriginal(about.content, action === 'failed' && about.ret === 'FULL' && !about.requireTls);
  } catch (error) {
    log.emit('originalUnreadable', { queueId: about.id, error });
    return undefined;
  }
}
