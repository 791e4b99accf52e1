/** What is known of addresses that seem not to exist, in their rows. */

import {
  type NewSuppression,
  newsOf,
  SUPPRESSED_FOR,
  SUPPRESSED_WITHIN,
  type Suppression,
  type SuppressionEvidence,
  type SuppressionNews,
  suppressionKey,
  withHit,
  withoutUnsure,
} from '../suppression.ts';
import type { Context } from './context.ts';

const MOST_LISTED = 1000;
const COLUMNS = 'address, provider, hits, suppressed_at AS suppressedAt, over_bound AS overBound, class, reply';

/** `hits`: JSON. */
export type SuppressionRow = Omit<Suppression, 'hits' | 'isOverBound'> & { readonly hits: string; readonly overBound: number };

export function readSuppression({ hits, overBound, ...row }: SuppressionRow): Suppression {
  return { ...row, hits: JSON.parse(hits) as Suppression['hits'], isOverBound: overBound !== 0 };
}

export function suppression({ db }: Context, address: string): Suppression | undefined {
  const row = db.get<SuppressionRow>(`SELECT ${COLUMNS} FROM suppression WHERE address = ?`, suppressionKey(address));
  return row === undefined ? undefined : readSuppression(row);
}

export function listSuppression({ db }: Context, { after, limit }: { after: string; limit: number }): readonly Suppression[] {
  const sql = `SELECT ${COLUMNS} FROM suppression WHERE address > ? ORDER BY address LIMIT ?`;
  return db.all<SuppressionRow>(sql, after, Math.min(limit, MOST_LISTED)).map(readSuppression);
}

export function removeSuppression({ db, effects }: Context, address: string): boolean {
  effects.changed('suppression');
  return db.run('DELETE FROM suppression WHERE address = ?', suppressionKey(address)).changes > 0;
}

function put({ db }: Context, s: Suppression): void {
  db.run(
    'INSERT OR REPLACE INTO suppression VALUES (?, ?, ?, ?, ?, ?, ?)',
    ...[s.address, s.provider, JSON.stringify(s.hits), s.suppressedAt, s.isOverBound ? 1 : 0, s.class, s.reply],
  );
}

/** In the transaction of the outcome. @returns undefined if the state stays. */
export function noteSuppression(context: Context, { kind, ...evidence }: NewSuppression): SuppressionNews | undefined {
  const known = suppression(context, evidence.address);
  if (kind === 'success') {
    if (known === undefined) return undefined;
    context.db.run('DELETE FROM suppression WHERE address = ?', known.address);
    return newsOf(known, undefined, evidence.at);
  }
  const next = withHit(known, evidence, recentAt(context, evidence));
  put(context, next);
  return newsOf(known, next, evidence.at);
}

function recentAt({ db }: Context, { provider, at }: SuppressionEvidence): number {
  const sql = 'SELECT count(*) AS n FROM suppression WHERE provider = ? AND suppressed_at > ?';
  return db.get<{ n: number }>(sql, provider, at - SUPPRESSED_WITHIN)!.n;
}

export function forgetUnsure(context: Context, { provider, since }: { provider: string; since: number }): number {
  const rows = context.db.all<SuppressionRow>(`SELECT ${COLUMNS} FROM suppression WHERE provider = ?`, provider);
  let changed = 0;
  for (const known of rows.map(readSuppression)) {
    const left = withoutUnsure(known, since);
    if (left === known) continue;
    changed++;
    if (left === undefined) context.db.run('DELETE FROM suppression WHERE address = ?', known.address);
    else put(context, left);
  }
  return changed;
}

/** Suspicions by their first hit, which is the earlier one. */
export function trimSuppression({ db }: Context, now: number): number {
  const sql = `DELETE FROM suppression WHERE suppressed_at < ?1
    OR (suppressed_at IS NULL AND coalesce(json_extract(hits, '$[0].at'), 0) < ?2)`;
  return db.run(sql, now - 2 * SUPPRESSED_FOR, now - SUPPRESSED_FOR).changes;
}
