/** A FeedbackStore that keeps everything in memory. */
import { boundedFeedback, type FeedbackDay } from '../../src/store/feedback-store.ts';
import type { FeedbackStore } from '../../src/store/store.ts';

export function createMemoryFeedback(): FeedbackStore {
  const reports = new Map<string, number>();
  const rows = new Map<string, FeedbackDay>();
  const put = (into: Map<string, FeedbackDay>, key: string, sum: FeedbackDay) => {
    const messages = sum.messages + (into.get(key)?.messages ?? 0);
    into.set(key, { ...sum, messages });
  };
  const keyOf = ({ domain, source, sender, dkim, spf, disposition }: Omit<FeedbackDay, 'day'>) =>
    [domain, source, sender, dkim, spf, disposition].join(' ');
  return {
    async addReport({ key, day, sums }) {
      if (reports.has(key)) return false;
      reports.set(key, day);
      for (const [domain, own] of Map.groupBy(sums, (sum) => sum.domain)) {
        const known = [...rows.values()].filter((row) => row.day === day && row.domain === domain).length;
        for (const sum of boundedFeedback(own, known)) put(rows, `${day} ${keyOf(sum)}`, { ...sum, day });
      }
      return true;
    },
    async sums(since, domain) {
      const found = new Map<string, FeedbackDay>();
      for (const row of rows.values())
        if (row.day >= since && (domain === undefined || row.domain === domain)) put(found, keyOf(row), row);
      return [...found.entries()]
        .sort(([a, x], [b, y]) =>
          x.domain === y.domain ? y.messages - x.messages || (a < b ? -1 : 1) : x.domain < y.domain ? -1 : 1,
        )
        .map(([, { day: _, ...sum }]) => sum);
    },
    async trim(before) {
      for (const [key, { day }] of rows) if (day < before) rows.delete(key);
      for (const [key, day] of reports) if (day < before) reports.delete(key);
    },
  };
}
