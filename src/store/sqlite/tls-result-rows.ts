/** Counted TLS sessions, and reports about them, in their rows. RFC 8460. */
import { createHash } from 'node:crypto';
import { ENDED_STATES } from '../message-store.ts';
import {
  furtherTlsPolicies,
  MOST_TLS_POLICIES,
  type NewTlsReport,
  type SeenTlsPolicy,
  type StoredTlsReport,
  type TlsFailureDetail,
  type TlsFailureRow,
  type TlsSessionCount,
} from '../tls-result-store.ts';
import { insertReport } from './accept.ts';
import type { Context } from './context.ts';
import type { EncodedMessage } from './rows.ts';
import { stateName } from './states.ts';

/** Kinds of failure of one policy, domain and day that are kept apart. */
export const MOST_KINDS = 100;
/** A TLSA base may serve any number of domains: those whose sessions failed come first. */
const MOST_RESULTS = 1000;
const TRIMMED_AT_ONCE = 500;
const REPORT_COLUMNS = `day, domain, rua, report_id AS reportId, state, queue_id AS queueId, attempts, next_at AS nextAt,
  last_error AS lastError, created_at AS createdAt`;

export function addTlsResults(context: Context, counts: readonly TlsSessionCount[]): void {
  for (const { day, domain, policy, ok, failed, failures } of counts) {
    const key = addSessions(context, { day, domain, policy, ok, failed });
    for (const failure of failures) addFailure(context, [day, domain, key], failure);
  }
}

/** @returns the key of the policy that the sessions are counted for. */
function addSessions({ db }: Context, { day, domain, policy, ok, failed }: Omit<TlsSessionCount, 'failures'>): string {
  const add = (key: string) =>
    db.run(
      'UPDATE tls_results SET ok = ok + ?, failed = failed + ? WHERE day = ? AND domain = ? AND policy = ?',
      ...[ok, failed, day, domain, key],
    ).changes > 0;
  if (add(policy.key)) return policy.key;
  const policies = db.get<{ n: number }>('SELECT count(*) AS n FROM tls_results WHERE day = ? AND domain = ?', day, domain)!;
  const counted = policies.n < MOST_TLS_POLICIES ? policy : furtherTlsPolicies(policy.type, domain);
  const { key, type, domain: policyDomain, strings, mxHosts } = counted;
  if (counted !== policy && add(key)) return key;
  db.run('INSERT OR IGNORE INTO tls_policies_seen VALUES (?, ?, ?)', key, strings.join('\n'), mxHosts.join(' '));
  db.run('INSERT INTO tls_results VALUES (?, ?, ?, ?, ?, ?, ?)', day, domain, key, type, policyDomain, ok, failed);
  return key;
}

type Counted = readonly [day: number, domain: string, policy: string];

function addFailure({ db }: Context, of: Counted, failure: TlsFailureDetail): void {
  const { type, sendingIp, mx, helo, receivingIp, reason, count } = failure;
  const details = [type, sendingIp, mx, helo, receivingIp, reason];
  const update = 'UPDATE tls_failures SET count = count + ? WHERE day = ? AND domain = ? AND policy = ? AND key = ?';
  if (db.run(update, count, ...of, keyOfFailure(details)).changes > 0) return;
  const kinds = db.get<{ n: number }>(
    'SELECT count(*) AS n FROM tls_failures WHERE day = ? AND domain = ? AND policy = ?',
    ...of,
  )!;
  const kept = kinds.n < MOST_KINDS ? details : [type, null, null, null, null, null];
  const insert =
    'INSERT INTO tls_failures VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count';
  db.run(insert, ...of, keyOfFailure(kept), ...kept, count);
}

export function keyOfFailure(details: readonly (string | null)[]): string {
  return createHash('sha256').update(JSON.stringify(details)).digest('base64url').slice(0, 22);
}

type ResultRow = {
  domain: string;
  policy: string;
  type: SeenTlsPolicy['type'];
  policyDomain: string;
  ok: number;
  failed: number;
};

export function tlsResults({ db }: Context, { day, name }: { day: number; name: string }): TlsSessionCount[] {
  const rows = db.all<ResultRow & { text: string; mx: string }>(
    `SELECT r.domain, r.policy, r.type, r.policy_domain AS policyDomain, r.ok, r.failed, p.text, p.mx
     FROM tls_results r JOIN tls_policies_seen p ON p.policy = r.policy
     WHERE r.day = ?1 AND (r.domain = ?2 OR (r.type = 'tlsa' AND r.policy_domain = ?2)) ORDER BY r.domain != ?2, r.failed DESC, r.domain, r.type, r.policy LIMIT ${MOST_RESULTS}`,
    day,
    name,
  );
  return rows.map(({ domain, policy: key, type, policyDomain, ok, failed, text, mx }) => {
    const failures =
      failed === 0
        ? []
        : db.all<TlsFailureDetail>(
            `SELECT type, sending_ip AS sendingIp, mx, helo, receiving_ip AS receivingIp, reason, count FROM tls_failures
       WHERE day = ? AND domain = ? AND policy = ? ORDER BY count DESC, key`,
            ...[day, domain, key],
          );
    const policy = { key, type, domain: policyDomain, strings: split(text, '\n'), mxHosts: split(mx, ' ') };
    return { day, domain, policy, ok, failed, failures };
  });
}

const split = (text: string, by: string) => (text === '' ? [] : text.split(by));

type DomainsArgument = { readonly day: number; readonly after: string; readonly limit: number };

export function unreportedTlsDomains({ db }: Context, { day, after, limit }: DomainsArgument): string[] {
  const sql = `
    SELECT name FROM (
      SELECT domain AS name FROM tls_results WHERE day = ?1 AND domain > ?2
      UNION SELECT policy_domain FROM tls_results WHERE day = ?1 AND type = 'tlsa' AND policy_domain > ?2)
    WHERE NOT EXISTS (SELECT 1 FROM tls_reports WHERE day = ?1 AND domain = name) ORDER BY name LIMIT ?3`;
  return db.all<{ name: string }>(sql, day, after, limit).map(({ name }) => name);
}

/** A report, with its mail as it crosses to the store's thread. */
type EncodedTlsReport = Omit<NewTlsReport, 'message'> & { readonly message: EncodedMessage | null };
type AddArgument = {
  readonly day: number;
  readonly domain: string;
  readonly at: number;
  readonly reports: readonly EncodedTlsReport[];
};

export function addTlsReports(context: Context, { day, domain, at, reports }: AddArgument): string[] {
  const added: string[] = [];
  for (const { rua, reportId, state, lastError, message } of reports) {
    const { changes } = context.db.run(
      'INSERT OR IGNORE INTO tls_reports VALUES (?, ?, ?, ?, ?, ?, 0, ?, ?, ?)',
      ...[day, domain, rua, reportId, state, message?.id ?? null, state === 'due' ? at : null, lastError, at],
    );
    if (changes === 0) continue;
    added.push(rua);
    if (message !== null) insertReport(context, message, false);
  }
  return added;
}

export function claimTlsReports({ db }: Context, a: { now: number; until: number; limit: number }): StoredTlsReport[] {
  const sql = `SELECT ${REPORT_COLUMNS} FROM tls_reports WHERE next_at <= ? ORDER BY next_at LIMIT ?`;
  const due = db.all<StoredTlsReport>(sql, a.now, a.limit);
  for (const { day, domain, rua } of due)
    db.run(
      'UPDATE tls_reports SET attempts = attempts + 1, next_at = ? WHERE day = ? AND domain = ? AND rua = ?',
      ...[a.until, day, domain, rua],
    );
  return due.map((report) => ({ ...report, attempts: report.attempts + 1, nextAt: a.until }));
}

type Note = Pick<StoredTlsReport, 'day' | 'domain' | 'rua' | 'state' | 'nextAt'> & { readonly error: string | null };

export function noteTlsReport({ db }: Context, { day, domain, rua, state, nextAt, error }: Note): void {
  const sql = `UPDATE tls_reports SET state = ?, next_at = ?, last_error = ? WHERE day = ? AND domain = ? AND rua = ? AND state = 'due'`;
  db.run(sql, state, nextAt, error, day, domain, rua);
}

export function endedTlsReports({ db }: Context): StoredTlsReport[] {
  type Row = StoredTlsReport & { mailState: number | null; reply: string | null; tries: number | null };
  const rows = db.all<Row>(
    `SELECT t.*, r.state AS mailState, r.last_reply AS reply, r.attempts AS tries
     FROM (SELECT ${REPORT_COLUMNS} FROM tls_reports WHERE state = 'queued') t LEFT JOIN recipients r ON r.message = t.queueId AND r.n = 0`,
  );
  return rows.flatMap(({ mailState, reply, tries, ...report }) => {
    const mail = mailState === null ? 'forgotten' : (stateName(mailState) ?? 'held');
    if (mail !== 'forgotten' && !ENDED_STATES.includes(mail)) return [];
    const state = mail === 'relayed' ? ('sent' as const) : ('failed' as const);
    const lastError = state === 'sent' ? null : (reply ?? `its mail is ${mail}`);
    const attempts = tries ?? report.attempts;
    db.run(
      'UPDATE tls_reports SET state = ?, attempts = ?, last_error = ? WHERE day = ? AND domain = ? AND rua = ?',
      ...[state, attempts, lastError, report.day, report.domain, report.rua],
    );
    return [{ ...report, state, attempts, lastError }];
  });
}

export function retryTlsReport({ db }: Context, { day, domain }: { day: number; domain: string }): number {
  const sql = `DELETE FROM tls_reports WHERE day = ? AND domain = ? AND state IN ('failed', 'suppressed', 'skipped')`;
  return db.run(sql, day, domain).changes;
}

type ReportQuery = {
  readonly day: number | null;
  readonly domain: string | null;
  readonly since: number;
  readonly limit: number;
};

export function tlsReports({ db }: Context, { day, domain, since, limit }: ReportQuery): StoredTlsReport[] {
  return db.all<StoredTlsReport>(
    `SELECT ${REPORT_COLUMNS} FROM tls_reports
     WHERE (?1 IS NULL OR day = ?1) AND (?2 IS NULL OR domain = ?2) AND day >= ?3 ORDER BY day DESC, domain, rua LIMIT ?4`,
    ...[day, domain, since, limit],
  );
}

export function countTlsReports({ db }: Context, since: number): number {
  return db.get<{ n: number }>(`SELECT count(*) AS n FROM tls_reports WHERE created_at >= ? AND rua != ''`, since)!.n;
}

export function failedTlsDays({ db }: Context, rua: string): number {
  const sql = `
    SELECT day, max(state = 'sent') AS arrived FROM tls_reports
    WHERE rua = ? AND state IN ('sent', 'failed', 'suppressed') GROUP BY day ORDER BY day DESC LIMIT 30`;
  const days = db.all<{ arrived: number }>(sql, rua);
  const end = days.findIndex(({ arrived }) => arrived === 1);
  return end === -1 ? days.length : end;
}

export function tlsFailures({ db }: Context, { since, limit }: { since: number; limit: number }): TlsFailureRow[] {
  return db.all<TlsFailureRow>(
    `SELECT f.day, f.domain, r.type AS policy, r.policy_domain AS policyDomain, f.type, f.sending_ip AS sendingIp, f.mx, f.helo,
       f.receiving_ip AS receivingIp, f.reason, f.count
     FROM tls_failures f JOIN tls_results r ON r.day = f.day AND r.domain = f.domain AND r.policy = f.policy
     WHERE f.day >= ? ORDER BY f.day DESC, f.domain, f.count DESC, f.key LIMIT ?`,
    since,
    limit,
  );
}

export function trimTlsResults({ db }: Context, day: number): boolean {
  let removed = 0;
  for (const table of ['tls_failures', 'tls_results', 'tls_reports']) {
    const key =
      table === 'tls_failures'
        ? 'day, domain, policy, key'
        : table === 'tls_results'
          ? 'day, domain, policy'
          : 'day, domain, rua';
    const sql = `DELETE FROM ${table} WHERE (${key}) IN (SELECT ${key} FROM ${table} WHERE day < ? LIMIT ${TRIMMED_AT_ONCE})`;
    removed += db.run(sql, day).changes;
  }
  if (removed > 0) return true;
  db.run('DELETE FROM tls_policies_seen WHERE policy NOT IN (SELECT policy FROM tls_results)');
  return false;
}
