/** MTA-STS policies in their rows. */
import type { DueStsRequest, StoredStsPolicy, StsFailure } from '../tls-policy-store.ts';
import type { Context } from './context.ts';

const MOST_LISTED = 1000;
const TRIMMED_AT_ONCE = 500;
const COLUMNS = `domain, id, mode, max_age AS maxAge, mx, text, fetched_at AS fetchedAt, expires_at AS expiresAt, used_at AS usedAt,
  refresh_at AS refreshAt, failures, failed_at AS failedAt, last_error AS lastError, retry_at AS retryAt, retry_id AS retryId`;

/** `mx` with blanks between the patterns. */
type Row = Omit<StoredStsPolicy, 'mx'> & { readonly mx: string };
const decode = (row: Row): StoredStsPolicy => ({ ...row, mx: row.mx === '' ? [] : row.mx.split(' ') });

export function stsPolicy({ db }: Context, domain: string): StoredStsPolicy | undefined {
  const row = db.get<Row>(`SELECT ${COLUMNS} FROM sts_policies WHERE domain = ?`, domain);
  return row === undefined ? undefined : decode(row);
}

export function putStsPolicy(
  { db, effects }: Context,
  { policy: p, by }: { policy: StoredStsPolicy; by: 'relay' | 'operator' },
): void {
  if (by === 'operator') effects.changed('policies');
  db.run(
    'INSERT OR REPLACE INTO sts_policies VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)',
    ...[p.domain, p.id, p.mode, p.maxAge, p.mx.join(' '), p.text, p.fetchedAt, p.expiresAt],
    ...[p.usedAt, p.refreshAt, p.failures, p.failedAt, p.lastError, p.retryAt, p.retryId],
  );
}

export function noteStsFailure({ db }: Context, { domain, at, error, retryAt, retryId }: StsFailure): void {
  db.run(
    `UPDATE sts_policies SET failures = failures + 1, failed_at = ?1, last_error = ?2, retry_at = ?3, retry_id = ?4, refresh_at = ?3
     WHERE domain = ?5`,
    ...[at, error, retryAt, retryId, domain],
  );
}

export function noteStsUse({ db }: Context, uses: readonly { domain: string; at: number }[]): void {
  const sql = 'UPDATE sts_policies SET used_at = max(used_at, ?1), refresh_at = coalesce(refresh_at, ?1) WHERE domain = ?2';
  for (const { domain, at } of uses) db.run(sql, at, domain);
}

/** Those that are left out leave the index, so that they are not met again each time. */
export function dueStsPolicies(
  { db }: Context,
  { now, usedAfter, heldAt, limit }: DueStsRequest,
): { due: StoredStsPolicy[]; expired: string[] } {
  db.run('UPDATE sts_policies SET refresh_at = NULL WHERE refresh_at <= ? AND used_at < ?', now, usedAfter);
  const ended = 'UPDATE sts_policies SET refresh_at = NULL WHERE refresh_at <= ? AND expires_at <= ? RETURNING domain';
  const expired = db.all<{ domain: string }>(ended, now, heldAt).map(({ domain }) => domain);
  const sql = `SELECT ${COLUMNS} FROM sts_policies WHERE refresh_at <= ? ORDER BY refresh_at LIMIT ?`;
  return { due: db.all<Row>(sql, now, limit).map(decode), expired };
}

export function listStsPolicies({ db }: Context, { after, limit }: { after: string; limit: number }): StoredStsPolicy[] {
  const sql = `SELECT ${COLUMNS} FROM sts_policies WHERE domain > ? ORDER BY domain LIMIT ?`;
  return db.all<Row>(sql, after, Math.min(limit, MOST_LISTED)).map(decode);
}

export function forgetStsPolicy({ db, effects }: Context, domain: string): boolean {
  effects.changed('policies');
  return db.run('DELETE FROM sts_policies WHERE domain = ?', domain).changes > 0;
}

export function trimStsPolicies({ db }: Context, { expired, unused }: { expired: number; unused: number }): string[] {
  const sql = `DELETE FROM sts_policies WHERE domain IN (SELECT domain FROM sts_policies
    WHERE expires_at < ?1 OR used_at < ?2 LIMIT ${TRIMMED_AT_ONCE}) RETURNING domain`;
  return db.all<{ domain: string }>(sql, expired, unused).map(({ domain }) => domain);
}

type Counts = { readonly modes: Record<StoredStsPolicy['mode'], number>; readonly overdue: number };

export function countStsPolicies({ db }: Context, { now, age }: { now: number; age: number }): Counts {
  const valid = (mode: StoredStsPolicy['mode']) =>
    db.get<{ n: number }>('SELECT count(*) AS n FROM sts_policies WHERE mode = ? AND expires_at > ?', mode, now)?.n ?? 0;
  const sql = `
    SELECT count(*) AS n FROM sts_policies WHERE failures > 0 AND expires_at > ?1 AND mode <> 'none'
      AND ?1 - fetched_at > min(?2, (expires_at - fetched_at) / 2)`;
  const overdue = db.get<{ n: number }>(sql, now, age)?.n ?? 0;
  return { modes: { enforce: valid('enforce'), testing: valid('testing'), none: valid('none') }, overdue };
}
