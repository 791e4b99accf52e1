/** Sessions counted for TLS reports, and what became of each report: RFC 8460. A day is a UTC day: its number since 1970-01-01. */
import type { NewMessage } from './message-store.ts';

/** A policy as a session met it. `key`: a hash of all the rest. */
export type SeenTlsPolicy = {
  readonly key: string;
  readonly type: 'tlsa' | 'sts' | 'no-policy-found';
  readonly domain: string;
  /** The lines of the policy, or one for each TLSA record. */
  readonly strings: readonly string[];
  readonly mxHosts: readonly string[];
};

/** The most policies of one domain and day that are kept apart, so that a domain with ever new policies cannot fill the store. */
export const MOST_TLS_POLICIES = 100;

const FURTHER = 'further ';
/** Stands for the policies of one type that are not kept apart. It has no text, and its domain is the recipient domain. */
export const furtherTlsPolicies = (type: SeenTlsPolicy['type'], domain: string): SeenTlsPolicy => ({
  ...{ key: FURTHER + type, type, domain },
  ...{ strings: [], mxHosts: [] },
});
export const isFurtherTlsPolicies = ({ key }: SeenTlsPolicy): boolean => key.startsWith(FURTHER);

/** One kind of failure; what is not known is null. */
export type TlsFailureDetail = {
  readonly type: string;
  readonly sendingIp: string | null;
  readonly mx: string | null;
  readonly helo: string | null;
  readonly receivingIp: string | null;
  readonly reason: string | null;
  readonly count: number;
};

/** Sessions with the hosts of one recipient domain under one policy. */
export type TlsSessionCount = {
  readonly day: number;
  readonly domain: string;
  readonly policy: SeenTlsPolicy;
  readonly ok: number;
  readonly failed: number;
  readonly failures: readonly TlsFailureDetail[];
};

/**
 * `queued`: its mail is in the queue; `due`: it is handed over by HTTPS at `nextAt`; `skipped`: there was nothing to send, or nobody to send
 * it to; `suppressed`: the address did not take reports for days.
 */
type TlsReportState = 'queued' | 'due' | 'sent' | 'failed' | 'suppressed' | 'skipped';

/** One copy of the report of a domain and day, by where it goes; `rua` is empty for `skipped`. */
export type StoredTlsReport = {
  readonly day: number;
  readonly domain: string;
  readonly rua: string;
  readonly reportId: string;
  readonly state: TlsReportState;
  readonly queueId: string | null;
  readonly attempts: number;
  readonly nextAt: number | null;
  readonly lastError: string | null;
  readonly createdAt: number;
};

/** `message`: its mail, stored with it. */
export type NewTlsReport = Pick<StoredTlsReport, 'rua' | 'reportId' | 'lastError'> & {
  readonly state: Exclude<TlsReportState, 'sent' | 'failed'>;
  readonly message?: NewMessage;
};

type ReportKey = Pick<StoredTlsReport, 'day' | 'domain' | 'rua'>;

/** Failures of one domain and day, for a view. */
export type TlsFailureRow = TlsFailureDetail & {
  readonly day: number;
  readonly domain: string;
  readonly policy: SeenTlsPolicy['type'];
  readonly policyDomain: string;
};

export type TlsResultStore = {
  /**
   * Adds to what is there. Of one policy of a domain and day 100 kinds of failure are kept apart; those after them are counted by their
   * type alone. Of one domain and day `MOST_TLS_POLICIES` policies are kept apart; sessions under another one are counted for
   * `furtherTlsPolicies`. Nobody waits for it, so it may wait a few milliseconds to share a sync.
   */
  addTlsResults(counts: readonly TlsSessionCount[]): Promise<void>;
  /**
   * What a report to `name` about that day says: of the domain itself, and of others whose mail went to the TLSA base of that name. At most
   * 1000, those of the domain itself and those with failures first.
   */
  tlsResults(day: number, name: string): Promise<readonly TlsSessionCount[]>;
  /** Names behind `after` that a report about the day could go to, and that none was written for; by name, at most `limit`. */
  unreportedTlsDomains(request: {
    readonly day: number;
    readonly after: string;
    readonly limit: number;
  }): Promise<readonly string[]>;
  /**
   * Copies of one report, and the mail of each that has some, in one transaction: a copy that is there already stays as it is, and its mail
   * is not stored. So of several that write the same report, one does. Rejects with the code `EEXIST`, and changes nothing, where
   * another message has the id of a mail. @returns the rua of what was added.
   */
  addTlsReports(request: {
    readonly day: number;
    readonly domain: string;
    readonly at: number;
    readonly reports: readonly NewTlsReport[];
  }): Promise<readonly string[]>;
  /** Reports that are due by HTTPS at `now`; each counts an attempt, and is due again at `until` unless it is noted what became of it. */
  claimTlsReports(request: {
    readonly now: number;
    readonly until: number;
    readonly limit: number;
  }): Promise<readonly StoredTlsReport[]>;
  /** What became of a report by HTTPS. */
  noteTlsReport(
    note: ReportKey & {
      readonly state: 'due' | 'sent' | 'failed';
      readonly nextAt: number | null;
      readonly error: string | null;
    },
  ): Promise<void>;
  /** Reports whose mail has ended since they were last asked for. @returns them as they stand now: each is told once. */
  endedTlsReports(): Promise<readonly StoredTlsReport[]>;
  /** Forgets the copies of a report that did not arrive, so that they are written anew. @returns their number. */
  retryTlsReport(day: number, domain: string): Promise<number>;
  /** The latest first. */
  tlsReports(query: {
    readonly day?: number;
    readonly domain?: string;
    readonly since?: number;
    readonly limit: number;
  }): Promise<readonly StoredTlsReport[]>;
  /** How many copies were written at `since` or later: for how many may be written now. */
  countTlsReports(since: number): Promise<number>;
  /** On how many of the last days with a report to this address none of them arrived, without a day between on which one did. */
  failedTlsDays(rua: string): Promise<number>;
  /** From `since` (day) on, the latest first. */
  tlsFailures(query: { readonly since: number; readonly limit: number }): Promise<readonly TlsFailureRow[]>;
  /** Forgets what is of days before `day`; some at a time. @returns false where nothing was left. */
  trimTlsResults(day: number): Promise<boolean>;
};
