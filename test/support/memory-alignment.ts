/** An AlignmentStore that keeps everything in memory. */
import type { AlignmentStore, StoredSenderVerdict } from '../../src/store/store.ts';

export function createMemoryAlignment(): AlignmentStore {
  const rows = new Map<string, StoredSenderVerdict>();
  const keyOf = ({ domain, envelope }: StoredSenderVerdict) => `${domain} ${envelope}`;
  return {
    verdicts: async (usedSince, limit) =>
      [...rows.values()]
        .filter(({ usedAt }) => usedAt >= usedSince)
        .sort((a, b) => b.usedAt - a.usedAt || (keyOf(a) < keyOf(b) ? -1 : 1))
        .slice(0, limit),
    async putVerdicts(verdicts) {
      for (const one of verdicts) rows.set(keyOf(one), one);
    },
    async trimVerdicts(usedSince) {
      for (const [key, { usedAt }] of rows) if (usedAt < usedSince) rows.delete(key);
    },
  };
}
