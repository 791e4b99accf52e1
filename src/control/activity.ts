/** What was refused to clients, and how much passed. The running relay writes both now and then, so that the last minute may be missing. */
import type { HistoryOutcome, HistorySubject, StoreData } from '../store/store.ts';
import { DAY, HOUR } from '../system/clock.ts';
import type { Parts } from './parts.ts';
import { iso } from './shapes.ts';
import { normalUserName } from './users.ts';

/** `refused`: equal refusals that came one after the other are one. */
export type RefusedByUs = Awaited<ReturnType<ActivityControl['refused']>>[number];
export type HistoryRow = Awaited<ReturnType<ActivityControl['history']>>[number];

/** @param before `seq` of the last one that was read. */
type RefusedFilter = {
  readonly user?: string;
  readonly ip?: string;
  /** Milliseconds since the epoch. */
  readonly since?: number;
  readonly before?: number;
  readonly limit: number;
};

type HistoryFilter = {
  readonly by: HistorySubject;
  readonly from: number;
  readonly to: number;
  readonly name?: string;
  readonly step: 'hour' | 'day' | 'whole';
  /** False: all names together. */
  readonly names: boolean;
};

export type ActivityControl = ReturnType<typeof createActivityControl>;

export function createActivityControl({ store: { activity } }: Parts<never> | { readonly store: Pick<StoreData, 'activity'> }) {
  return {
    /** Commands and logins that were refused, the newest first. */
    async refused({ user, ...filter }: RefusedFilter) {
      const found = await activity.refused({
        ...filter,
        ...(user === undefined ? {} : { user: await normalUserName(user, 'user') }),
      });
      return found.map(({ at, until, ...rest }) => ({ ...rest, at: iso(at), until: iso(until) }));
    },
    /** `accepted` counts messages, `refused` refusals, the others recipients. The oldest first. `from` is the beginning of the step. */
    async history({ step, ...query }: HistoryFilter) {
      const [from, to] = [query.from - (query.from % HOUR), query.to];
      const whole = Math.max(HOUR, Math.ceil((to + 1) / HOUR) * HOUR);
      const rows = await activity.history({ ...query, step: step === 'hour' ? HOUR : step === 'day' ? DAY : whole });
      const kept = new Map<string, { from: string; name: string; bytes: number } & Record<HistoryOutcome, number>>();
      for (const { hour, name, outcome, count, bytes } of rows) {
        const begin = iso(Math.max(hour, step === 'whole' ? from : hour));
        const key = `${begin} ${name}`;
        const nothing = { accepted: 0, relayed: 0, delayed: 0, failed: 0, expired: 0, refused: 0 };
        const row = kept.get(key) ?? { from: begin, name, ...nothing, bytes: 0 };
        row[outcome] += count;
        row.bytes += bytes;
        kept.set(key, row);
      }
      return [...kept.values()];
    },
  };
}
