/** MTA-STS policies in their rows. */
import type { StoredStsPolicy } from '../tls-policy-store.ts';
import type { OperationTable } from './postgres-context.ts';

const MOST_LISTED = 1000;
const TRIMMED_AT_ONCE = 500;
const COLUMNS = `domain, id, mode, max_age AS "maxAge", mx, text, fetched_at AS "fetchedAt", expires_at AS "expiresAt", used_at AS "usedAt",
  refresh_at AS "refreshAt", failures, failed_at AS "failedAt", last_error AS "lastError", retry_at AS "retryAt", retry_id AS "retryId"`;
const NAMES = `domain, id, mode, max_age, mx, text, fetched_at, expires_at, used_at, refresh_at, failures, failed_at, last_error, retry_at, retry_id`;
const PUT = `
  INSERT INTO sts_policies (${NAMES}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
  ON CONFLICT (domain) DO UPDATE SET ${NAMES.split(', ')
    .map((name) => `${name} = excluded.${name}`)
    .join(', ')}`;

/** `mx` with blanks between the patterns. */
type Row = Omit<StoredStsPolicy, 'mx'> & { readonly mx: string };
const decode = (row: Row): StoredStsPolicy => ({ ...row, mx: row.mx === '' ? [] : row.mx.split(' ') });

export const stsOperations: OperationTable<
  | 'stsPolicy'
  | 'putStsPolicy'
  | 'noteStsFailure'
  | 'noteStsUse'
  | 'dueStsPolicies'
  | 'listStsPolicies'
  | 'forgetStsPolicy'
  | 'trimStsPolicies'
  | 'countStsPolicies'
> = {
  stsPolicy: {
    kind: 'read',
    async run({ tx }, domain) {
      const row = await tx.get<Row>(`SELECT ${COLUMNS} FROM sts_policies WHERE domain = $1`, domain);
      return row === undefined ? undefined : decode(row);
    },
  },
  putStsPolicy: {
    kind: 'write',
    async run({ tx, effects }, { policy: p, by }) {
      if (by === 'operator') effects.changed('policies');
      await tx.run(
        PUT,
        ...[p.domain, p.id, p.mode, p.maxAge, p.mx.join(' '), p.text, p.fetchedAt, p.expiresAt],
        ...[p.usedAt, p.refreshAt, p.failures, p.failedAt, p.lastError, p.retryAt, p.retryId],
      );
    },
  },
  noteStsFailure: {
    kind: 'write',
    async run({ tx }, { domain, at, error, retryAt, retryId }) {
      await tx.run(
        `UPDATE sts_policies SET failures = failures + 1, failed_at = $1, last_error = $2, retry_at = $3, retry_id = $4, refresh_at = $3
         WHERE domain = $5`,
        ...[at, error, retryAt, retryId, domain],
      );
    },
  },
  noteStsUse: {
    kind: 'write',
    async run({ tx }, uses) {
      const latest = new Map<string, number>();
      for (const { domain, at } of uses) latest.set(domain, Math.max(at, latest.get(domain) ?? at));
      await tx.run(
        `WITH used AS MATERIALIZED (
           SELECT u.domain, u.at FROM unnest($1::text[], $2::bigint[]) AS u (domain, at) JOIN sts_policies p ON p.domain = u.domain
           ORDER BY u.domain FOR UPDATE OF p)
         UPDATE sts_policies p SET used_at = greatest(p.used_at, used.at), refresh_at = coalesce(p.refresh_at, used.at)
         FROM used WHERE p.domain = used.domain`,
        ...[[...latest.keys()], [...latest.values()]],
      );
    },
  },
  /** Those that are left out leave the index, so that they are not met again each time. */
  dueStsPolicies: {
    kind: 'write',
    async run({ tx }, { now, usedAfter, heldAt, limit }) {
      await tx.run('UPDATE sts_policies SET refresh_at = NULL WHERE refresh_at <= $1 AND used_at < $2', now, usedAfter);
      const ended = await tx.all<{ domain: string }>(
        'UPDATE sts_policies SET refresh_at = NULL WHERE refresh_at <= $1 AND expires_at <= $2 RETURNING domain',
        ...[now, heldAt],
      );
      const sql = `SELECT ${COLUMNS} FROM sts_policies WHERE refresh_at <= $1 ORDER BY refresh_at, domain LIMIT $2`;
      const due = (await tx.all<Row>(sql, now, limit)).map(decode);
      return { due, expired: ended.map(({ domain }) => domain) };
    },
  },
  listStsPolicies: {
    kind: 'read',
    async run({ tx }, { after, limit }) {
      const sql = `SELECT ${COLUMNS} FROM sts_policies WHERE domain > $1 ORDER BY domain LIMIT $2`;
      return (await tx.all<Row>(sql, after, Math.min(limit, MOST_LISTED))).map(decode);
    },
  },
  forgetStsPolicy: {
    kind: 'write',
    async run({ tx, effects }, domain) {
      effects.changed('policies');
      return (await tx.run('DELETE FROM sts_policies WHERE domain = $1', domain)) > 0;
    },
  },
  trimStsPolicies: {
    kind: 'write',
    async run({ tx }, { expired, unused }) {
      const rows = await tx.all<{ domain: string }>(
        `DELETE FROM sts_policies WHERE domain IN (
           SELECT domain FROM sts_policies WHERE expires_at < $1 OR used_at < $2 ORDER BY domain LIMIT ${TRIMMED_AT_ONCE} FOR UPDATE)
         RETURNING domain`,
        ...[expired, unused],
      );
      return rows.map(({ domain }) => domain);
    },
  },
  countStsPolicies: {
    kind: 'read',
    async run({ tx }, { now, age }) {
      type Counts = Record<StoredStsPolicy['mode'] | 'overdue', number>;
      const mode = (name: string) => `count(*) FILTER (WHERE mode = '${name}')::int AS ${name}`;
      const row = await tx.get<Counts>(
        `SELECT ${['enforce', 'testing', 'none'].map(mode).join(', ')}, count(*) FILTER (WHERE failures > 0 AND mode <> 'none'
           AND $1 - fetched_at > least($2, (expires_at - fetched_at) / 2))::int AS overdue
         FROM sts_policies WHERE expires_at > $1`,
        ...[now, age],
      );
      const { overdue, ...modes } = row!;
      return { modes, overdue };
    },
  },
};
