/** What was refused to clients, and how much passed: for people only. What is not stored yet is lost by a crash, and no mail with it. */
import type { Led } from './lease.ts';

/** Commands and logins that were refused alike, one after the other. Times are milliseconds since the epoch. */
export type RefusedCommand = {
  /** The first and the last time. */
  readonly at: number;
  readonly until: number;
  readonly count: number;
  readonly session: string;
  readonly ip: string;
  /** The login; what was typed, where it failed. null: none yet. */
  readonly user: string | null;
  /** `MAIL`, `RCPT`, `DATA`, `AUTH`, … */
  readonly verb: string;
  readonly code: number;
  readonly status: string;
  /** The whole reply as the client got it, in one line. */
  readonly reply: string;
  readonly reversePath: string | null;
  readonly recipient: string | null;
};

/** As it is stored. `seq` grows with time. */
export type StoredRefusedCommand = RefusedCommand & { readonly seq: number };

export type RefusedQuery = {
  /** Only older ones than the one with this `seq`. */
  readonly before?: number;
  readonly limit: number;
  readonly user?: string;
  readonly ip?: string;
  /** Not before this time. */
  readonly since?: number;
};

/** `user`: by the login. `destination`: by the domain of the recipient. */
export type HistorySubject = 'user' | 'destination';
/** `accepted` counts messages, `refused` counts refusals, the others count recipients. */
export type HistoryOutcome = 'accepted' | 'relayed' | 'delayed' | 'failed' | 'expired' | 'refused';

/** What happened in one hour. `hour` is its beginning. `name` is empty for our own mail, and for what had no room of its own. */
export type HistoryCount = {
  readonly by: HistorySubject;
  readonly hour: number;
  readonly name: string;
  readonly outcome: HistoryOutcome;
  readonly count: number;
  /** Of accepted messages; 0 for the other outcomes. */
  readonly bytes: number;
};

export type HistoryQuery = {
  readonly by: HistorySubject;
  /** From the hour in which `from` lies to the one in which `to` lies. */
  readonly from: number;
  readonly to: number;
  readonly name?: string;
  /** How long a row of the answer is, in whole hours, counted from the epoch. */
  readonly step: number;
  /** False: all names together, with an empty name. */
  readonly names: boolean;
};

/** Refusals above this number push out the oldest. */
export const MOST_REFUSED = 10_000;
/** Rows of one answer. */
export const MOST_HISTORY = 20_000;

export type ActivityStore = {
  /** Keeps the newest 10,000. */
  addRefused(refused: readonly RefusedCommand[]): Promise<void>;
  /** The newest first. */
  refused(query: RefusedQuery): Promise<readonly StoredRefusedCommand[]>;
  /** Adds to what was counted before. */
  addHistory(counts: readonly HistoryCount[]): Promise<void>;
  /** Ordered by time and name; the oldest rows where there are more than 20,000. `hour` is the beginning of the step. */
  history(query: HistoryQuery): Promise<readonly Omit<HistoryCount, 'by'>[]>;
  /** Forgets some hours that began before. @returns true if there may be more. */
  trimHistory(this: Led<ActivityStore>, by: HistorySubject, before: number): Promise<boolean>;
};
