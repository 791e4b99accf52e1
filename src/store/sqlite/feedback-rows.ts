/** Daily sums of DMARC reports in their rows. */
import { boundedFeedback, type FeedbackDay, type FeedbackReport } from '../feedback-store.ts';
import type { Context } from './context.ts';

const MOST_LISTED = 10_000;

export function addFeedback({ db }: Context, { key, day, sums }: FeedbackReport): boolean {
  if (db.run('INSERT OR IGNORE INTO feedback_reports VALUES (?, ?)', key, day).changes === 0) return false;
  for (const [domain, own] of Map.groupBy(sums, (sum) => sum.domain)) {
    const { n } = db.get<{ n: number }>('SELECT count(*) AS n FROM feedback_sums WHERE day = ? AND domain = ?', day, domain)!;
    for (const sum of boundedFeedback(own, n))
      db.run(
        `INSERT INTO feedback_sums VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET messages = messages + excluded.messages, verified = excluded.verified`,
        ...[day, domain, sum.source, sum.sender, sum.dkim, sum.spf, sum.disposition, sum.messages, sum.verified],
      );
  }
  return true;
}

export function feedbackSums({ db }: Context, { since, domain }: { since: number; domain: string | null }) {
  const sql = `
    SELECT domain, source, sender, dkim, spf, disposition, sum(messages) AS messages, max(verified) AS verified FROM feedback_sums
    WHERE day >= ?1 AND (?2 IS NULL OR domain = ?2) GROUP BY domain, source, sender, dkim, spf, disposition
    ORDER BY domain, sum(messages) DESC, source, sender, dkim, spf, disposition LIMIT ${MOST_LISTED}`;
  return db.all<Omit<FeedbackDay, 'day'>>(sql, since, domain);
}

export function trimFeedback({ db }: Context, before: number): void {
  db.run('DELETE FROM feedback_sums WHERE day < ?', before);
  db.run('DELETE FROM feedback_reports WHERE day < ?', before);
}
