/** Counted TLS sessions, and reports about them, in their rows. RFC 8460. */
import { ENDED_STATES } from '../message-store.ts';
import type { Argument, Result } from '../sqlite/operations.ts';
import { stateName } from '../sqlite/states.ts';
import { keyOfFailure, MOST_KINDS } from '../sqlite/tls-result-rows.ts';
import {
  furtherTlsPolicies,
  MOST_TLS_POLICIES,
  type SeenTlsPolicy,
  type StoredTlsReport,
  type TlsFailureDetail,
  type TlsFailureRow,
  type TlsSessionCount,
} from '../tls-result-store.ts';
import { insertReportRows } from './message-rows.ts';
import type { OperationTable, PostgresContext } from './postgres-context.ts';
import { compare } from './windows.ts';

/** A TLSA base may serve any number of domains: those whose sessions failed come first. */
const MOST_RESULTS = 1000;
const TRIMMED_AT_ONCE = 500;
const REPORT_COLUMNS = `day, domain, rua, report_id AS "reportId", state, queue_id AS "queueId", attempts, next_at AS "nextAt",
  last_error AS "lastError", created_at AS "createdAt"`;

/** Other machines count the same domains: they take turns at a domain, in the order of the domains. */
async function addTlsResults(context: PostgresContext, counts: readonly TlsSessionCount[]): Promise<void> {
  const place = ({ day, domain }: TlsSessionCount) => `${String(day).padStart(9, '0')} ${domain}`;
  for (const { day, domain, policy, ok, failed, failures } of counts.toSorted((a, b) => compare(place(a), place(b)))) {
    await context.tx.run('SELECT pg_advisory_xact_lock(hashtextextended($1, $2))', domain, day);
    const key = await addSessions(context, { day, domain, policy, ok, failed });
    for (const failure of failures) await addFailure(context, [day, domain, key], failure);
  }
}

/** @returns the key of the policy that the sessions are counted for. */
async function addSessions({ tx }: PostgresContext, one: Omit<TlsSessionCount, 'failures'>): Promise<string> {
  const { day, domain, policy, ok, failed } = one;
  const add = async (key: string) =>
    (await tx.run(
      'UPDATE tls_results SET ok = ok + $1, failed = failed + $2 WHERE day = $3 AND domain = $4 AND policy = $5',
      ...[ok, failed, day, domain, key],
    )) > 0;
  if (await add(policy.key)) return policy.key;
  const sql = 'SELECT count(*)::int AS n FROM tls_results WHERE day = $1 AND domain = $2';
  const policies = (await tx.get<{ n: number }>(sql, day, domain))!;
  const counted = policies.n < MOST_TLS_POLICIES ? policy : furtherTlsPolicies(policy.type, domain);
  const { key, type, domain: policyDomain, strings, mxHosts } = counted;
  if (counted !== policy && (await add(key))) return key;
  await tx.run(
    'INSERT INTO tls_policies_seen VALUES ($1, $2, $3) ON CONFLICT DO NOTHING',
    ...[key, strings.join('\n'), mxHosts.join(' ')],
  );
  await tx.run(
    'INSERT INTO tls_results VALUES ($1, $2, $3, $4, $5, $6, $7)',
    ...[day, domain, key, type, policyDomain, ok, failed],
  );
  return key;
}

type Counted = readonly [day: number, domain: string, policy: string];

async function addFailure({ tx }: PostgresContext, of: Counted, failure: TlsFailureDetail): Promise<void> {
  const { type, sendingIp, mx, helo, receivingIp, reason, count } = failure;
  const details = [type, sendingIp, mx, helo, receivingIp, reason];
  const update = 'UPDATE tls_failures SET count = count + $1 WHERE day = $2 AND domain = $3 AND policy = $4 AND key = $5';
  if ((await tx.run(update, count, ...of, keyOfFailure(details))) > 0) return;
  const kinds = await tx.get<{ n: number }>(
    'SELECT count(*)::int AS n FROM tls_failures WHERE day = $1 AND domain = $2 AND policy = $3',
    ...of,
  );
  const kept = kinds!.n < MOST_KINDS ? details : [type, null, null, null, null, null];
  await tx.run(
    `INSERT INTO tls_failures VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
     ON CONFLICT (day, domain, policy, key) DO UPDATE SET count = tls_failures.count + excluded.count`,
    ...of,
    keyOfFailure(kept),
    ...kept,
    count,
  );
}

async function tlsResults({ tx }: PostgresContext, { day, name }: Argument<'tlsResults'>): Promise<Result<'tlsResults'>> {
  type Row = { domain: string; policy: string; type: SeenTlsPolicy['type']; policyDomain: string; ok: number; failed: number };
  const rows = await tx.all<Row & { text: string; mx: string }>(
    `SELECT r.domain, r.policy, r.type, r.policy_domain AS "policyDomain", r.ok, r.failed, p.text, p.mx
     FROM tls_results r JOIN tls_policies_seen p ON p.policy = r.policy
     WHERE r.day = $1 AND (r.domain = $2 OR (r.type = 'tlsa' AND r.policy_domain = $2))
     ORDER BY r.domain <> $2, r.failed DESC, r.domain, r.type, r.policy LIMIT ${MOST_RESULTS}`,
    ...[day, name],
  );
  const failures = rows.map(({ domain, policy, failed }) =>
    failed === 0
      ? []
      : tx.send<TlsFailureDetail>(
          `SELECT type, sending_ip AS "sendingIp", mx, helo, receiving_ip AS "receivingIp", reason, count FROM tls_failures
           WHERE day = $1 AND domain = $2 AND policy = $3 ORDER BY count DESC, key`,
          ...[day, domain, policy],
        ),
  );
  await tx.flush();
  return Promise.all(
    rows.map(async ({ domain, policy: key, type, policyDomain, ok, failed, text, mx }, i) => {
      const policy = { key, type, domain: policyDomain, strings: split(text, '\n'), mxHosts: split(mx, ' ') };
      return { day, domain, policy, ok, failed, failures: (await failures[i])! };
    }),
  );
}

const split = (text: string, by: string) => (text === '' ? [] : text.split(by));

async function addTlsReports({ tx, effects }: PostgresContext, a: Argument<'addTlsReports'>): Promise<Result<'addTlsReports'>> {
  const { day, domain, at, reports } = a;
  const added: string[] = [];
  for (const { rua, reportId, state, lastError, message } of reports.toSorted((x, y) => compare(x.rua, y.rua))) {
    const inserted = await tx.run(
      'INSERT INTO tls_reports VALUES ($1, $2, $3, $4, $5, $6, 0, $7, $8, $9) ON CONFLICT DO NOTHING',
      ...[day, domain, rua, reportId, state, message?.id ?? null, state === 'due' ? at : null, lastError, at],
    );
    if (inserted === 0) continue;
    added.push(rua);
    if (message !== null) await insertReportRows(tx, effects, message);
  }
  await tx.flush();
  const ruas = new Set(added);
  return reports.flatMap(({ rua }) => (ruas.has(rua) ? [rua] : []));
}

/** `tls_reports.state` is told once, so that its row is locked. */
async function endedTlsReports({ tx }: PostgresContext): Promise<Result<'endedTlsReports'>> {
  type Row = StoredTlsReport & { mailState: number | null; reply: string | null; tries: number | null };
  const rows = await tx.all<Row>(
    `SELECT t.*, r.state AS "mailState", r.last_reply AS reply, r.attempts AS tries
     FROM (SELECT ${REPORT_COLUMNS} FROM tls_reports WHERE state = 'queued' ORDER BY day, domain, rua FOR UPDATE) t
     LEFT JOIN recipients r ON r.message = t."queueId" AND r.n = 0 ORDER BY t.day, t.domain, t.rua`,
  );
  const ended: StoredTlsReport[] = [];
  for (const { mailState, reply, tries, ...report } of rows) {
    const mail = mailState === null ? 'forgotten' : (stateName(mailState) ?? 'held');
    if (mail !== 'forgotten' && !ENDED_STATES.includes(mail)) continue;
    const state = mail === 'relayed' ? ('sent' as const) : ('failed' as const);
    const lastError = state === 'sent' ? null : (reply ?? `its mail is ${mail}`);
    const attempts = tries ?? report.attempts;
    await tx.run(
      'UPDATE tls_reports SET state = $1, attempts = $2, last_error = $3 WHERE day = $4 AND domain = $5 AND rua = $6',
      ...[state, attempts, lastError, report.day, report.domain, report.rua],
    );
    ended.push({ ...report, state, attempts, lastError });
  }
  return ended;
}

async function trimTlsResults({ tx }: PostgresContext, day: number): Promise<boolean> {
  const keys = { tls_failures: 'day, domain, policy, key', tls_results: 'day, domain, policy', tls_reports: 'day, domain, rua' };
  let removed = 0;
  for (const [table, key] of Object.entries(keys))
    removed += await tx.run(
      `DELETE FROM ${table} WHERE (${key}) IN (SELECT ${key} FROM ${table} WHERE day < $1 ORDER BY ${key} LIMIT ${TRIMMED_AT_ONCE} FOR UPDATE)`,
      day,
    );
  if (removed > 0) return true;
  await tx.run('DELETE FROM tls_policies_seen p WHERE NOT EXISTS (SELECT 1 FROM tls_results r WHERE r.policy = p.policy)');
  return false;
}

export const tlsReportOperations: OperationTable<
  | 'addTlsResults'
  | 'tlsResults'
  | 'unreportedTlsDomains'
  | 'addTlsReports'
  | 'claimTlsReports'
  | 'noteTlsReport'
  | 'endedTlsReports'
  | 'retryTlsReport'
  | 'tlsReports'
  | 'countTlsReports'
  | 'failedTlsDays'
  | 'tlsFailures'
  | 'trimTlsResults'
> = {
  addTlsResults: { kind: 'write', run: addTlsResults },
  tlsResults: { kind: 'read', run: tlsResults },
  unreportedTlsDomains: {
    kind: 'read',
    async run({ tx }, { day, after, limit }) {
      const rows = await tx.all<{ name: string }>(
        `SELECT name FROM (
           SELECT domain AS name FROM tls_results WHERE day = $1 AND domain > $2
           UNION SELECT policy_domain FROM tls_results WHERE day = $1 AND type = 'tlsa' AND policy_domain > $2) AS names
         WHERE NOT EXISTS (SELECT 1 FROM tls_reports t WHERE t.day = $1 AND t.domain = name) ORDER BY name LIMIT $3`,
        ...[day, after, limit],
      );
      return rows.map(({ name }) => name);
    },
  },
  addTlsReports: { kind: 'write', run: addTlsReports },
  claimTlsReports: {
    kind: 'write',
    run: ({ tx }, { now, until, limit }) =>
      tx.all<StoredTlsReport>(
        `WITH due AS (
           SELECT day, domain, rua, next_at FROM tls_reports WHERE next_at <= $1 ORDER BY next_at, day, domain, rua LIMIT $3 FOR UPDATE SKIP LOCKED
         ), claimed AS (
           UPDATE tls_reports t SET attempts = t.attempts + 1, next_at = $2 FROM due
           WHERE t.day = due.day AND t.domain = due.domain AND t.rua = due.rua RETURNING t.*, due.next_at AS was)
         SELECT ${REPORT_COLUMNS} FROM claimed ORDER BY was, day, domain, rua`,
        ...[now, until, limit],
      ),
  },
  noteTlsReport: {
    kind: 'write',
    async run({ tx }, { day, domain, rua, state, nextAt, error }) {
      await tx.run(
        `UPDATE tls_reports SET state = $1, next_at = $2, last_error = $3 WHERE day = $4 AND domain = $5 AND rua = $6 AND state = 'due'`,
        ...[state, nextAt, error, day, domain, rua],
      );
    },
  },
  endedTlsReports: { kind: 'write', run: endedTlsReports },
  retryTlsReport: {
    kind: 'write',
    run: ({ tx }, { day, domain }) =>
      tx.run(
        `DELETE FROM tls_reports WHERE day = $1 AND domain = $2 AND state IN ('failed', 'suppressed', 'skipped')`,
        ...[day, domain],
      ),
  },
  tlsReports: {
    kind: 'read',
    run: ({ tx }, { day, domain, since, limit }) =>
      tx.all<StoredTlsReport>(
        `SELECT ${REPORT_COLUMNS} FROM tls_reports
         WHERE ($1::int IS NULL OR day = $1) AND ($2::text IS NULL OR domain = $2) AND day >= $3 ORDER BY day DESC, domain, rua LIMIT $4`,
        ...[day, domain, since, limit],
      ),
  },
  countTlsReports: {
    kind: 'read',
    run: async ({ tx }, since) =>
      (await tx.get<{ n: number }>(`SELECT count(*)::int AS n FROM tls_reports WHERE created_at >= $1 AND rua <> ''`, since))!.n,
  },
  failedTlsDays: {
    kind: 'read',
    async run({ tx }, rua) {
      const days = await tx.all<{ arrived: boolean }>(
        `SELECT day, bool_or(state = 'sent') AS arrived FROM tls_reports
         WHERE rua = $1 AND state IN ('sent', 'failed', 'suppressed') GROUP BY day ORDER BY day DESC LIMIT 30`,
        rua,
      );
      const end = days.findIndex(({ arrived }) => arrived);
      return end === -1 ? days.length : end;
    },
  },
  tlsFailures: {
    kind: 'read',
    run: ({ tx }, { since, limit }) =>
      tx.all<TlsFailureRow>(
        `SELECT f.day, f.domain, r.type AS policy, r.policy_domain AS "policyDomain", f.type, f.sending_ip AS "sendingIp", f.mx, f.helo,
           f.receiving_ip AS "receivingIp", f.reason, f.count
         FROM tls_failures f JOIN tls_results r ON r.day = f.day AND r.domain = f.domain AND r.policy = f.policy
         WHERE f.day >= $1 ORDER BY f.day DESC, f.domain, f.count DESC, f.key LIMIT $2`,
        ...[since, limit],
      ),
  },
  trimTlsResults: { kind: 'write', run: trimTlsResults },
};
