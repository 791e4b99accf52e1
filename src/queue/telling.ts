/**
 * Tells senders what became of their mail: what is due to be told is read from the store, written into one report for each message and
 * Action, and stored in the transaction that ends the duty to tell it. A crash before that leaves the duty, one after it the report.
 */

import type { EventLog } from '../events/events.ts';
import type { DsnAction } from '../smtp/outcome.ts';
import { anotherQueueId } from '../smtp/queue-id.ts';
import type { Reply } from '../smtp/reply.ts';
import type {
  Content,
  DueReport,
  MessageFacts,
  MessageStore,
  NewMessage,
  StoredRecipient,
  Told,
  UntoldRecipient,
} from '../store/store.ts';
import { type Clock, MINUTE, SECOND } from '../system/clock.ts';
import { renamed } from './free-id.ts';

/** Written at a time: they share the store's commits. */
const PARALLEL = 8;
/** A report that cannot be written, for want of a key or of disk, is tried again so much later. */
const POSTPONED = 5 * MINUTE;
/** After a fault of the store. */
const PAUSE = SECOND;
const LONGEST_SLEEP = 30 * SECOND;

/** One recipient whose outcome is told to the sender. */
export type Reportable = {
  readonly recipient: StoredRecipient;
  readonly action: DsnAction | 'expired';
  /** The last attempt; absent where there was none. `dsnPassedOn`: the far side reports success itself. */
  readonly outcome?: { readonly reply: Reply; readonly mx?: string; readonly ip?: string; readonly dsnPassedOn?: boolean };
  /** Of the last attempt, ms since the epoch; absent: now. */
  readonly at?: number;
  /** For `delayed`: when we give up, ms since the epoch. */
  readonly willRetryUntil?: number;
};

/** The message that is reported about. `content`: what a report may quote. */
export type ReportSubject = MessageFacts & { readonly content: Content | undefined };

/** A report ready to be stored, and the Action it tells (RFC 3464 §2.3.3). */
export type Report = NewMessage & { readonly action: DsnAction };

/** Writes the reports that `changes` deserve, one for each Action. Rejects when one cannot be written: it is tried again later. */
export type ReportFunction = (about: ReportSubject, changes: readonly Reportable[]) => Promise<readonly Report[]>;

/** What one summary tells of one message. */
export type Summarized = { readonly message: MessageFacts; readonly changes: readonly Reportable[] };

/** Writes one message about many, for a sender who had so many reports that the rest is put together. Rejects as a report does. */
export type SummaryFunction = (sender: string, about: readonly Summarized[]) => Promise<NewMessage>;

type TellingOptions = {
  readonly store: Pick<MessageStore, 'dueReports' | 'told' | 'postponeReport'>;
  readonly log: EventLog;
  readonly report: ReportFunction;
  readonly summarize: SummaryFunction;
  /** Reports that one sender gets in an hour; a summary tells the rest. */
  readonly perHour: () => number;
  /** How long it is tried to write a report once its message is as old as it may become, ms. */
  readonly reportLifetime: () => number;
  readonly now: Clock;
  /** A report for this destination is stored. */
  readonly onReport: (destination: string) => void;
};

export function startTelling(options: TellingOptions) {
  const { store, log, report, summarize, now, onReport } = options;
  let running: Promise<void> | undefined;
  let again = false;
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;
  let timerAt = Number.POSITIVE_INFINITY;

  function kick(): void {
    again = true;
    if (stopped || running !== undefined) return;
    running = tellAll().finally(() => {
      running = undefined;
      if (again) kick();
    });
  }

  async function tellAll(): Promise<void> {
    forgetTimer();
    while (!stopped) {
      again = false;
      try {
        const at = now();
        const { due, nextAt } = await store.dueReports({ now: at, limit: PARALLEL, perHour: options.perHour() });
        await Promise.all(due.map(tell));
        if (due.length > 0 || (nextAt !== null && nextAt <= at)) continue;
        if (nextAt !== null) wakeIn(nextAt - at);
      } catch (error) {
        log.emit('storeFailed', { operation: 'report', error });
        again = false;
        wakeIn(PAUSE);
      }
      return;
    }
    again = false;
  }

  /** At the earlier time where one is set already. */
  function wakeIn(pause: number): void {
    const at = performance.now() + Math.min(Math.max(pause, 1), LONGEST_SLEEP);
    if (at >= timerAt || stopped) return;
    forgetTimer();
    timerAt = at;
    timer = setTimeout(kick, at - performance.now()).unref();
  }

  function forgetTimer(): void {
    clearTimeout(timer);
    timerAt = Number.POSITIVE_INFINITY;
  }

  async function tell(due: DueReport): Promise<void> {
    if (due.kind === 'summary') return tellSummary(due);
    const { message, content, untold } = due;
    const changes = untold.map((one) => toReportable(one, message.expiresAt));
    const reports = await write(due, message.id, () => report({ ...message, content }, changes));
    if (reports === undefined) return;
    const [written] = reports; // one Action has one
    const told = { sender: message.reversePath, untold, at: now() };
    if (written === undefined) return void (await store.told(told));
    const stored = await storeReport(told, written);
    if (stored === undefined) return;
    const { action, recipients, id } = stored;
    log.emit('reported', { queueId: id, about: message.id, action });
    for (const { destination } of recipients) onReport(destination);
  }

  async function tellSummary(due: DueReport & { kind: 'summary' }): Promise<void> {
    const { sender, messages, untold } = due;
    const about = messages.map((message) => ({
      message,
      changes: untold.filter((one) => one.message === message.id).map((one) => toReportable(one, message.expiresAt)),
    }));
    const written = await write(due, messages[0]!.id, () => summarize(sender, about));
    const stored = written && (await storeReport({ sender, untold, at: now() }, written));
    if (stored === undefined) return;
    for (const { message, changes } of about)
      for (const action of new Set(changes.map(actionOf)))
        log.emit('reported', { queueId: stored.id, about: message.id, action });
    for (const { destination } of stored.recipients) onReport(destination);
  }

  /** @returns the report as it is stored, under another id where its own was taken; undefined where all had been told. */
  async function storeReport<R extends NewMessage>(told: Omit<Told, 'report'>, report: R): Promise<R | undefined> {
    try {
      return (await store.told({ ...told, report })) ? report : undefined;
    } catch (error) {
      if ((error as { code?: string }).code !== 'EEXIST') throw error;
      return storeReport(told, renamed(report, anotherQueueId(now())));
    }
  }

  /** undefined: it is tried again later, or, where that is worth nothing any more, given up with a line in the log. */
  async function write<T>({ kind, ...due }: DueReport, queueId: string, writing: () => Promise<T>): Promise<T | undefined> {
    try {
      return await writing();
    } catch (error) {
      const messages = 'messages' in due ? due.messages : [due.message];
      const { untold } = due;
      const tooLate = messages.every(({ expiresAt }) => now() > expiresAt + options.reportLifetime());
      log.emit('reportFailed', { queueId, kind, givenUp: tooLate, error });
      if (tooLate) await store.told({ sender: messages[0]!.reversePath, untold, at: now() });
      else await store.postponeReport(untold, now() + POSTPONED);
      return undefined;
    }
  }

  kick();
  return {
    /** Something must be told. `due`: now; else there is time, and the store knows when. */
    kick(due = true): void {
      if (due || running !== undefined) kick();
      else wakeIn(SECOND);
    },
    /** Ends what is being written; the rest is left to the next start. */
    async close(): Promise<void> {
      stopped = true;
      forgetTimer();
      await running;
    },
  };
}

function toReportable({ recipient, action, reply, mx, ip, at }: UntoldRecipient, expiresAt: number): Reportable {
  const outcome = { reply, ...(mx === undefined ? {} : { mx }), ...(ip === undefined ? {} : { ip }) };
  return { recipient, action, outcome, at, ...(action === 'delayed' ? { willRetryUntil: expiresAt } : {}) };
}

/** The Action of RFC 3464 §2.3.3: giving up is a failure. */
export const actionOf = ({ action }: Pick<Reportable, 'action'>): Report['action'] => (action === 'expired' ? 'failed' : action);
