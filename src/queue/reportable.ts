/** What the queue tells the reporter: whose fate is worth a word to the sender (RFC 3461 §4.1). */
import type { Outcome } from '../smtp/outcome.ts';
import type { Content, MessageFacts, NewMessage, StoredRecipient } from '../store/store.ts';

/** One recipient whose fate may be told to the sender. NOTIFY is honoured by the reporter. */
export type Reportable = {
  readonly recipient: StoredRecipient;
  readonly action: 'failed' | 'delayed' | 'relayed' | 'expired';
  /** The last attempt; absent where there was none. */
  readonly outcome?: Outcome;
  /** For `delayed`: when we give up, ms since the epoch. */
  readonly willRetryUntil?: number;
};

/** The message that is reported about. `content`: what a report may quote. */
export type ReportSubject = MessageFacts & { readonly content: Content | undefined };

/** A report ready to be stored, and the Action it tells (RFC 3464 §2.3.3). */
export type Report = NewMessage & { readonly action: 'failed' | 'delayed' | 'relayed' };

/**
 * Writes the reports that `changes` deserve, none for the null reverse-path. Rejects when one cannot be written: then the
 * queue keeps the recipients whose end nobody would hear of, and tries again later.
 */
export type ReportFunction = (about: ReportSubject, changes: readonly Reportable[]) => Promise<readonly Report[]>;
