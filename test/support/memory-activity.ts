/** What the memory store knows of refusals and counts. */
import type { ActivityStore, HistoryCount, StoredRefusedCommand } from '../../src/store/store.ts';

const HOUR = 3_600_000;
const MOST_REFUSED = 10_000;

export function createMemoryActivity(): ActivityStore {
  let kept: StoredRefusedCommand[] = [];
  const counts = new Map<string, HistoryCount>();
  let seq = 0;
  return {
    async addRefused(refused) {
      kept = [...kept, ...refused.map((one) => ({ ...one, seq: ++seq }))].slice(-MOST_REFUSED);
    },
    async refused({ before = Number.POSITIVE_INFINITY, limit, user, ip, since = 0 }) {
      const fits = (one: StoredRefusedCommand) =>
        one.seq < before &&
        one.until >= since &&
        (user === undefined || one.user?.toLowerCase() === user.toLowerCase()) &&
        (ip === undefined || one.ip === ip);
      return kept.filter(fits).toReversed().slice(0, limit);
    },
    async addHistory(added) {
      for (const one of added) {
        const key = JSON.stringify([one.by, one.hour, one.name, one.outcome]);
        const { count = 0, bytes = 0 } = counts.get(key) ?? {};
        counts.set(key, { ...one, count: count + one.count, bytes: bytes + one.bytes });
      }
    },
    async history({ by, from, to, name, step, names }) {
      const sums = new Map<string, Omit<HistoryCount, 'by'>>();
      for (const one of counts.values()) {
        if (one.by !== by || one.hour < from - (from % HOUR) || one.hour > to || (name !== undefined && one.name !== name))
          continue;
        const row = { hour: one.hour - (one.hour % step), name: names ? one.name : '', outcome: one.outcome };
        const key = JSON.stringify(row);
        const { count = 0, bytes = 0 } = sums.get(key) ?? {};
        sums.set(key, { ...row, count: count + one.count, bytes: bytes + one.bytes });
      }
      const order = ['accepted', 'relayed', 'delayed', 'failed', 'expired', 'refused'];
      return [...sums.values()].sort(
        (a, b) =>
          a.hour - b.hour || (a.name < b.name ? -1 : a.name > b.name ? 1 : order.indexOf(a.outcome) - order.indexOf(b.outcome)),
      );
    },
    async trimHistory(by, before) {
      for (const [key, one] of counts) if (one.by === by && one.hour < before - (before % HOUR)) counts.delete(key);
      return false;
    },
  };
}
