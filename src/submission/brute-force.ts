/** Failed logins, counted by client address and by pair of user and address, never by user alone: that would lock out its owner. */
import type { FailureCount } from '../store/store.ts';
import { createCache } from '../system/cache.ts';
import { DAY, MINUTE } from '../system/clock.ts';
import { clientKey, createNetworks } from './networks.ts';
import type { BruteForce, SubmissionOptions } from './options.ts';

const REMEMBERED = 100_000;

/** Reads what was counted before a restart. Rejects when the store fails. */
export async function createBruteForce(
  options: Pick<SubmissionOptions, 'auth' | 'failures'> & { now: () => number },
): Promise<BruteForce> {
  const { failures, now } = options;
  let limits = options.auth;
  let allowed = createNetworks(limits.allow);
  const counts = createCache<string, FailureCount>(REMEMBERED);
  const remember = (list: readonly FailureCount[]) => {
    for (const count of list) counts.set(count.key, count);
  };
  remember(await failures.failures(now()));

  const isOver = (key: string): boolean => {
    const count = counts.get(key);
    if (count === undefined) return false;
    const { inMinute, minuteEndsAt, inDay, dayEndsAt } = count;
    const time = now();
    // A window that ends farther ahead than it is long was begun by a clock that has been set back: it is over.
    const runs = (endsAt: number, length: number) => time < endsAt && endsAt <= time + length;
    return (
      (runs(minuteEndsAt, MINUTE) && inMinute >= limits.failuresPerMinute) ||
      (runs(dayEndsAt, DAY) && inDay >= limits.failuresPerDay)
    );
  };

  return {
    isBlocked(ip, user) {
      if (counts.size === 0 || allowed.has(ip)) return false;
      const key = clientKey(ip);
      return isOver(key) || (user !== undefined && isOver(pairKey(key, user)));
    },
    async recordFailure(ip, user) {
      if (allowed.has(ip)) return 0;
      const key = clientKey(ip);
      const counted = await failures.recordFailure([key, pairKey(key, user)], now());
      remember(counted);
      return counted.find((count) => count.key === key)?.inMinute ?? 0;
    },
    reload(next) {
      limits = next;
      allowed = createNetworks(next.allow);
    },
  };
}

/** A user name has no control characters and may be long: what an attacker sends does not fill the store. */
function pairKey(key: string, user: string): string {
  return `${key} ${user.slice(0, 255)}`;
}
