/** Daily sums of DMARC reports in their rows. */
import { boundedFeedback, type FeedbackDay } from '../feedback-store.ts';
import { columns } from './parameters.ts';
import type { OperationTable } from './postgres-context.ts';

const MOST_LISTED = 10_000;
const ADD = `
  INSERT INTO feedback_sums AS f (day, domain, source, sender, dkim, spf, disposition, messages, verified)
  SELECT $1, domain, source, sender, dkim, spf, disposition, sum(messages), max(verified)
  FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bigint[], $9::text[])
    AS c (domain, source, sender, dkim, spf, disposition, messages, verified)
  GROUP BY domain, source, sender, dkim, spf, disposition ORDER BY domain, source, sender, dkim, spf, disposition
  ON CONFLICT (day, domain, source, sender, dkim, spf, disposition) DO UPDATE
  SET messages = f.messages + excluded.messages, verified = excluded.verified`;

export const feedbackOperations: OperationTable<'addFeedback' | 'feedbackSums' | 'trimFeedback'> = {
  addFeedback: {
    kind: 'write',
    async run({ tx }, { key, day, sums }) {
      if ((await tx.run('INSERT INTO feedback_reports VALUES ($1, $2) ON CONFLICT DO NOTHING', key, day)) === 0) return false;
      for (const [domain, own] of Map.groupBy(sums, (sum) => sum.domain)) {
        const found = await tx.get<{ n: number }>(
          'SELECT count(*)::int AS n FROM feedback_sums WHERE day = $1 AND domain = $2',
          ...[day, domain],
        );
        const rows = boundedFeedback(own, found!.n).map((s) => [
          ...[domain, s.source, s.sender, s.dkim, s.spf, s.disposition, s.messages, s.verified],
        ]);
        if (rows.length > 0) await tx.run(ADD, day, ...columns(rows, 8));
      }
      return true;
    },
  },
  feedbackSums: {
    kind: 'read',
    run: ({ tx }, { since, domain }) =>
      tx.all<Omit<FeedbackDay, 'day'>>(
        `SELECT domain, source, sender, dkim, spf, disposition, sum(messages)::bigint AS messages, max(verified) AS verified
         FROM feedback_sums WHERE day >= $1 AND ($2::text IS NULL OR domain = $2)
         GROUP BY domain, source, sender, dkim, spf, disposition
         ORDER BY domain, sum(messages) DESC, source, sender, dkim, spf, disposition LIMIT ${MOST_LISTED}`,
        ...[since, domain],
      ),
  },
  trimFeedback: {
    kind: 'write',
    async run({ tx }, before) {
      await tx.run('DELETE FROM feedback_sums WHERE day < $1', before);
      await tx.run('DELETE FROM feedback_reports WHERE day < $1', before);
    },
  },
};
