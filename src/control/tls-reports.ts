/** Reports about TLS to the owners of domains, and the reported failures: RFC 8460. A day is a UTC day, written `2026-11-27`. */
import type { StoredTlsReport, TlsFailureRow } from '../store/store.ts';
import { DAY, HOUR } from '../system/clock.ts';
import { ControlError, refuseFaults } from './control-error.ts';
import type { Parts } from './parts.ts';
import { iso } from './shapes.ts';

export type TlsReportSettings = { readonly hostname: string; readonly reports: { readonly tlsFrom: string } };

/** `tls reports list`: one copy of a report. `state` is `queued`, `due`, `sent`, `failed`, `suppressed` or `skipped`. */
export type TlsReportCopy = ReturnType<typeof copyShape>;
/** `tls failures` */
export type TlsFailure = ReturnType<typeof failureShape>;
/** `tls reports show`: the copies, and the document as RFC 8460 §4.4 has it. */
type ShownTlsReport = { readonly copies: readonly TlsReportCopy[]; readonly report: object };

export type TlsReportControl = {
  /** The latest first, of the last 30 days. */
  list(): Promise<readonly TlsReportCopy[]>;
  /** Rejects with `not found` if no session was counted. */
  show(day: string, domain: string): Promise<ShownTlsReport>;
  /** The running relay, or the next one that starts, sends it now. Rejects if the day is not over, or if every copy is sent. */
  send(day: string, domain: string): Promise<void>;
  /** Sends no reports to this address for 30 days; `false` sends them again. Rejects if there was never a report for it. */
  suppress(rua: string, suppressed: boolean): Promise<void>;
  /** From `since` on, in ms: the latest day first. */
  failures(since: number): Promise<readonly TlsFailure[]>;
};

const MOST = 10_000;
const SUPPRESSED_FOR = 30 * DAY;
const SHOWN = 30 * DAY;
const dayOfDate = (date: string): number => Date.parse(date) / DAY;
const dateOfDay = (day: number): string => new Date(day * DAY).toISOString().slice(0, 10);

export function createTlsReportControl({ store, settings, now, note }: Parts<TlsReportSettings>): TlsReportControl {
  const { tlsResults } = store;

  async function resultsOf(date: string, domain: string) {
    const results = await tlsResults.tlsResults(dayOfDate(date), domain);
    if (results.length > 0) return results;
    throw new ControlError('not found', 'report', `No session with ${domain} was counted on ${date}.`);
  }

  return {
    async list() {
      const since = Math.floor((now() - SHOWN) / DAY);
      return (await tlsResults.tlsReports({ since, limit: MOST })).map(copyShape);
    },
    async show(date, domain) {
      const { tlsReport } = await import('../report/report.ts');
      const results = await resultsOf(date, domain);
      const day = dayOfDate(date);
      const { hostname, reports } = settings();
      const copies = (await tlsResults.tlsReports({ day, domain, limit: MOST })).map(copyShape);
      return { copies, report: tlsReport({ day, domain, hostname, contact: reports.tlsFrom }, results) };
    },
    async send(date, domain) {
      const { ASKED_FOR } = await import('../report/report.ts');
      const day = dayOfDate(date);
      if ((day + 1) * DAY > now())
        throw new ControlError('conflict', 'report', `The day ${date} is not over: it ends at 00:00 UTC.`);
      await resultsOf(date, domain);
      const copies = await tlsResults.tlsReports({ day, domain, limit: MOST });
      if (copies.length > 0 && copies.every(({ state }) => state === 'sent' || state === 'queued' || state === 'due'))
        throw new ControlError(
          'exists',
          'report',
          `Every copy of the report to ${domain} about ${date} was sent, or is on its way.`,
        );
      const { operation } = note({ action: 'tls-report.send', target: `${domain} ${date}`, gives: null });
      await operation.setValue(`${ASKED_FOR}${day} ${domain}`, new Date(now()).toISOString());
    },
    async suppress(rua, suppressed) {
      const { SUPPRESSED_UNTIL } = await import('../report/report.ts');
      const known = (await tlsResults.tlsReports({ limit: MOST })).some((copy) => copy.rua === rua);
      if (!known) throw new ControlError('not found', 'report', `No report of the last 30 days was for ${rua}.`);
      const { operation } = note({ action: suppressed ? 'tls-report.suppress' : 'tls-report.resume', target: rua, gives: null });
      await operation.setValue(SUPPRESSED_UNTIL + rua, suppressed ? String(now() + SUPPRESSED_FOR) : null);
    },
    failures: async (since) => {
      const day = Math.floor(Math.min(since, now() + HOUR) / DAY);
      return (await tlsResults.tlsFailures({ since: day, limit: MOST })).map(failureShape);
    },
  };
}

/** A UTC day such as `2026-11-27`. @throws ControlError */
export function readDay(text: string): string {
  const at = /^\d{4}-\d\d-\d\d$/.test(text) ? Date.parse(text) : Number.NaN;
  const isDay = !Number.isNaN(at) && new Date(at).toISOString().slice(0, 10) === text;
  if (!isDay) refuseFaults([{ at: 'day', message: `is a UTC day such as 2026-11-27, not "${text}"` }]);
  return text;
}

function copyShape({ day, domain, rua, reportId, state, queueId, attempts, nextAt, lastError, createdAt }: StoredTlsReport) {
  return {
    ...{ day: dateOfDay(day), domain, rua: rua === '' ? null : rua, reportId, state, queueId, attempts },
    ...{ nextAttemptAt: iso(nextAt), lastError, createdAt: iso(createdAt) },
  };
}

function failureShape({ day, policy, policyDomain, type, count, ...rest }: TlsFailureRow) {
  const { domain, mx, helo, sendingIp, receivingIp, reason } = rest;
  return { day: dateOfDay(day), domain, policy, policyDomain, type, reason, mx, helo, receivingIp, sendingIp, sessions: count };
}
