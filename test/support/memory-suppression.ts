/** What the memory store knows of addresses that seem not to exist. */
import type { NewSuppression, SuppressionNews, SuppressionStore } from '../../src/store/store.ts';
import {
  newsOf,
  SUPPRESSED_FOR,
  SUPPRESSED_WITHIN,
  type Suppression,
  suppressionKey,
  withHit,
  withoutUnsure,
} from '../../src/store/suppression.ts';

export class MemorySuppression {
  readonly #rows = new Map<string, Suppression>();

  note({ kind, n: _, ...evidence }: NewSuppression): SuppressionNews | undefined {
    const key = suppressionKey(evidence.address);
    const known = this.#rows.get(key);
    if (kind === 'success') {
      this.#rows.delete(key);
      return newsOf(known, undefined, evidence.at);
    }
    const { provider, at } = evidence;
    const recent = [...this.#rows.values()].filter(
      (one) => one.provider === provider && one.suppressedAt !== null && one.suppressedAt > at - SUPPRESSED_WITHIN,
    );
    const next = withHit(known, evidence, recent.length);
    this.#rows.set(key, next);
    return newsOf(known, next, at);
  }

  store(tell: () => void): SuppressionStore {
    const rows = this.#rows;
    return {
      get: async (address) => rows.get(suppressionKey(address)),
      list: async (after, limit) =>
        [...rows.values()]
          .filter(({ address }) => address > after)
          .sort((a, b) => (a.address < b.address ? -1 : 1))
          .slice(0, limit),
      async remove(address) {
        tell();
        return rows.delete(suppressionKey(address));
      },
      async forgetUnsure(provider, since) {
        let changed = 0;
        for (const known of [...rows.values()].filter((one) => one.provider === provider)) {
          const left = withoutUnsure(known, since);
          if (left === known) continue;
          changed++;
          if (left === undefined) rows.delete(known.address);
          else rows.set(known.address, left);
        }
        return changed;
      },
      async trim(now) {
        const before = rows.size;
        for (const { address, suppressedAt, hits } of [...rows.values()]) {
          const isOver =
            suppressedAt === null ? (hits[0]?.at ?? 0) < now - SUPPRESSED_FOR : suppressedAt < now - 2 * SUPPRESSED_FOR;
          if (isOver) rows.delete(address);
        }
        return before - rows.size;
      },
    };
  }
}
