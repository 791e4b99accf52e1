/** Verdicts about sending domains in their rows. */
import type { StoredSenderVerdict } from '../alignment-store.ts';
import type { Context } from './context.ts';

const COLUMNS = 'domain, envelope, signatures, verdict, since, at, refresh_at AS refreshAt, used_at AS usedAt, detail';

export function senderVerdicts(
  { db }: Context,
  { usedSince, limit }: { usedSince: number; limit: number },
): readonly StoredSenderVerdict[] {
  const sql = `SELECT ${COLUMNS} FROM sender_verdicts WHERE used_at >= ? ORDER BY used_at DESC, domain, envelope LIMIT ?`;
  return db.all<StoredSenderVerdict>(sql, usedSince, limit);
}

export function putSenderVerdicts({ db }: Context, verdicts: readonly StoredSenderVerdict[]): void {
  for (const v of verdicts)
    db.run(
      'INSERT OR REPLACE INTO sender_verdicts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)',
      ...[v.domain, v.envelope, v.signatures, v.verdict, v.since, v.at, v.refreshAt, v.usedAt, v.detail],
    );
}

export function trimSenderVerdicts({ db }: Context, usedSince: number): void {
  db.run('DELETE FROM sender_verdicts WHERE used_at < ?', usedSince);
}
