/** Daily sums of the DMARC aggregate reports that the operator has read into the store: who sends as a domain, and what receivers saw. */
import type { Led } from './lease.ts';

/** `day`: since 1970, UTC. */
export type FeedbackDay = {
  readonly day: number;
  readonly domain: string;
  /** The address that sent. Empty: further addresses together. */
  readonly source: string;
  readonly sender: string;
  readonly dkim: string;
  readonly spf: string;
  readonly disposition: string;
  readonly messages: number;
  /** Names that receivers verified, with commas between. */
  readonly verified: string;
};

/** One report. `key` names it, so that it counts once. */
export type FeedbackReport = { readonly key: string; readonly day: number; readonly sums: readonly Omit<FeedbackDay, 'day'>[] };

export type FeedbackStore = {
  /** False if the report was counted before; nothing is stored then. */
  addReport(report: FeedbackReport): Promise<boolean>;
  /** Sums of all days from `since` on, by domain and source, the most messages first. At most 10 000. */
  sums(since: number, domain?: string): Promise<readonly Omit<FeedbackDay, 'day'>[]>;
  /** Removes days before this one. */
  trim(this: Led<FeedbackStore>, before: number): Promise<void>;
};

/** Addresses that are kept of a domain and day. Further ones are one line. A forger can have any number. */
const MOST_FEEDBACK_ROWS = 2000;

/** @param known how many rows the domain has on this day. */
export function boundedFeedback(sums: FeedbackReport['sums'], known: number): FeedbackReport['sums'] {
  const room = Math.max(0, MOST_FEEDBACK_ROWS - known);
  if (sums.length <= room) return sums;
  const byMessages = sums.toSorted((a, b) => b.messages - a.messages);
  return byMessages.map((sum, i) => (i < room ? sum : { ...sum, source: '', verified: '' }));
}
