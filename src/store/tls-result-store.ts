/** Counted sessions for TLS reports, and the state of each report: RFC 8460. A day is the number of a UTC day since 1970-01-01. */
import type { Led } from './lease.ts';
import type { NewMessage } from './message-store.ts';

/** A policy that a session met. `key` is a hash of the other fields. */
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

/** One kind of failure. Unknown fields are null. */
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
 * `queued`: its mail is in the queue. `due`: HTTPS is tried at `nextAt`. `skipped`: there is nothing to send, or no address. `suppressed`: the
 * address has taken no reports for days.
 */
type TlsReportState = 'queued' | 'due' | 'sent' | 'failed' | 'suppressed' | 'skipped';

/** One copy of the report of a domain and day. `rua` is its target, and empty for `skipped`. */
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

/** `message` is its mail, and is stored with it. */
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
   * The results for a report to `name` about that day: those of this recipient domain, and those of others under TLSA records of this base. At
   * most 1000. The domain's own results are first, then those with the most failures.
   */
  tlsResults(day: number, name: string): Promise<readonly TlsSessionCount[]>;
  /** Names behind `after` that have results of the day and no report. In the order of their names, at most `limit`. */
  unreportedTlsDomains(request: {
    readonly day: number;
    readonly after: string;
    readonly limit: number;
  }): Promise<readonly string[]>;
  /**
   * Stores the copies of one report, with their mail, in one transaction. A copy that exists already is not changed, and the new mail for it is
   * not stored. So if several processes write one report, it is stored once. Rejects with the code `EEXIST`, and changes nothing, if
   * another message has the id of a mail. @returns the rua of each new copy.
   */
  addTlsReports(request: {
    readonly day: number;
    readonly domain: string;
    readonly at: number;
    readonly reports: readonly NewTlsReport[];
  }): Promise<readonly string[]>;
  /** Claims reports that are due by HTTPS at `now`. Each counts an attempt. It is due again at `until`, unless its result is noted before. */
  claimTlsReports(request: {
    readonly now: number;
    readonly until: number;
    readonly limit: number;
  }): Promise<readonly StoredTlsReport[]>;
  /** Notes the result of a try by HTTPS. */
  noteTlsReport(
    note: ReportKey & {
      readonly state: 'due' | 'sent' | 'failed';
      readonly nextAt: number | null;
      readonly error: string | null;
    },
  ): Promise<void>;
  /** Notes the end of each report whose mail has ended. @returns these reports, each of them once. */
  endedTlsReports(): Promise<readonly StoredTlsReport[]>;
  /** Removes the copies of a report that did not arrive, so that they can be written again. @returns their number. */
  retryTlsReport(day: number, domain: string): Promise<number>;
  /** The latest first. */
  tlsReports(query: {
    readonly day?: number;
    readonly domain?: string;
    readonly since?: number;
    readonly limit: number;
  }): Promise<readonly StoredTlsReport[]>;
  /** The number of copies that were written at `since` or later. It limits new ones. */
  countTlsReports(since: number): Promise<number>;
  /** The number of days in a row, up to the last one, on which no report to this address arrived. Days without a report do not count. */
  failedTlsDays(rua: string): Promise<number>;
  /** From `since` (day) on, the latest first. */
  tlsFailures(query: { readonly since: number; readonly limit: number }): Promise<readonly TlsFailureRow[]>;
  /** Removes some rows of days before `day`. @returns false if there were none. */
  trimTlsResults(this: Led<TlsResultStore>, day: number): Promise<boolean>;
};
