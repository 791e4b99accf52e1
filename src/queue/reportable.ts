/** What the queue tells the reporter: which outcomes are worth a word to the sender (RFC 3461 §4.1). */
import type { DsnAction } from '../smtp/outcome.ts';
import type { Reply } from '../smtp/reply.ts';
import type { Content, MessageFacts, NewMessage, StoredRecipient } from '../store/store.ts';

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

/** NOTIFY of RFC 3461 §4.1; without it failure and delay. */
export function isWanted({ recipient, action, outcome }: Reportable): boolean {
  const notify = recipient.notify ?? ['FAILURE', 'DELAY'];
  if (action === 'delayed') return notify.includes('DELAY');
  if (action !== 'relayed') return notify.includes('FAILURE');
  // A server that took the parameters over reports success itself: RFC 3461 §5.2.1.
  return notify.includes('SUCCESS') && outcome?.dsnPassedOn !== true;
}

/** The Action of RFC 3464 §2.3.3: giving up is a failure. */
export const actionOf = ({ action }: Pick<Reportable, 'action'>): Report['action'] => (action === 'expired' ? 'failed' : action);
