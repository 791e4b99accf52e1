/** The state of the relay in a few figures, as far as they are stored. */
import { limitsFor } from '../policy/policy.ts';
import type { HistoryOutcome, QueueGroup } from '../store/store.ts';
import { DAY } from '../system/clock.ts';
import type { Parts } from './parts.ts';
import { iso } from './shapes.ts';
import type { UserSettings } from './users.ts';

/** `status` */
export type StoredStatus = {
  readonly queue: {
    readonly waiting: number;
    readonly held: number;
    readonly oldestAcceptedAt: string | null;
  };
  /** The last minute may be missing. */
  readonly last24Hours: Readonly<Record<HistoryOutcome, number>>;
  /** Those that have sent most in the last 24 hours. */
  readonly credentials: readonly CredentialUse[];
};

/** `limit`: the one of which most is used. null: it has none. */
type CredentialUse = {
  readonly name: string;
  readonly accepted24Hours: number;
  readonly disabled: boolean;
  readonly limit: {
    readonly kind: string;
    readonly count: number;
    readonly per: string;
    readonly used: number;
    readonly percent: number;
    readonly resetsAt: string | null;
  } | null;
};

export type StatusControl = {
  /** @param users only mail of these logins. null: all. */
  show(users: readonly string[] | null): Promise<StoredStatus>;
};

const MOST_CREDENTIALS = 10;

export function createStatusControl({ store, settings, now }: Parts<UserSettings>): StatusControl {
  const { messages, credentials, activity } = store;

  async function useOf(name: string, accepted24Hours: number): Promise<CredentialUse | undefined> {
    const credential = await credentials.get(name);
    if (credential === undefined) return undefined;
    const defaults = settings().limits;
    const limits = limitsFor(credential, [...defaults.messages, ...defaults.recipients, ...defaults.newRecipients]);
    const used = limits.length === 0 ? [] : await messages.limitUse(credential.name, limits, now());
    const [most] = used
      .map(({ limit, used, resetsAt }) => {
        const percent = limit.count === 0 ? 100 : Math.round((100 * used) / limit.count);
        return { kind: limit.kind, count: limit.count, per: limit.per, used, percent, resetsAt: iso(resetsAt) };
      })
      .sort((a, b) => b.percent - a.percent);
    return { name: credential.name, accepted24Hours, disabled: credential.disabled, limit: most ?? null };
  }

  async function queueOf(users: readonly string[] | null): Promise<StoredStatus['queue']> {
    if (users === null) {
      const { states, oldestAcceptedAt } = await messages.counts();
      return queueShape([states], oldestAcceptedAt);
    }
    const groups = await messages.queueGroups({ by: 'user', users, limit: users.length + 1 });
    const oldest = groups.map(({ oldestAcceptedAt }) => oldestAcceptedAt);
    return queueShape(
      groups.map(({ states }) => states),
      oldest.length === 0 ? null : Math.min(...oldest),
    );
  }

  return {
    async show(users) {
      const at = now();
      const only = users?.map((one) => one.toLowerCase());
      const [queue, rows] = await Promise.all([
        queueOf(users),
        activity.history({ by: 'user', from: at - DAY, to: at, step: 2 * DAY, names: true }),
      ]);
      const seen = rows.filter(({ name }) => only?.includes(name.toLowerCase()) ?? true);
      const last24Hours = { accepted: 0, relayed: 0, delayed: 0, failed: 0, expired: 0, refused: 0 };
      const accepted = new Map<string, number>();
      for (const { name, outcome, count } of seen) {
        last24Hours[outcome] += count;
        if (outcome === 'accepted' && name !== '') accepted.set(name, (accepted.get(name) ?? 0) + count);
      }
      const most = [...accepted].sort(([, a], [, b]) => b - a).slice(0, MOST_CREDENTIALS);
      const uses = await Promise.all(most.map(([name, count]) => useOf(name, count)));
      return { queue, last24Hours, credentials: uses.filter((use) => use !== undefined) };
    },
  };
}

function queueShape(all: readonly QueueGroup['states'][], oldestAcceptedAt: number | null): StoredStatus['queue'] {
  let [waiting, held] = [0, 0];
  for (const states of all) {
    held += states.held ?? 0;
    waiting += (states.queued ?? 0) + (states.active ?? 0) + (states.delayed ?? 0) + (states.uncertain ?? 0);
  }
  return { waiting, held, oldestAcceptedAt: iso(oldestAcceptedAt) };
}
