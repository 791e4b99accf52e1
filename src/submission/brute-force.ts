/**
 * Counts failed logins by client address, by pair of user and address, and for IPv6 by the networks around the address. They are never
 * counted by user alone, which would lock out the owner. A count holds at once. The store keeps it for the next start.
 */
import { hash } from 'node:crypto';
import { clientKey, networksAround } from '../net/client-networks.ts';
import { createNetworks } from '../net/networks.ts';
import type { FailureCount } from '../store/store.ts';
import { createCache } from '../system/cache.ts';
import { DAY, MINUTE } from '../system/clock.ts';
import type { KnownClients } from './admission.ts';
import type { AuthLimits, SubmissionOptions } from './submission.ts';

const REMEMBERED = 100_000;

/** The place where a login failed. Each has counts of its own: a mistake at the console stops no mail program at the same address. */
type Door = 'smtp' | 'web';

type BruteForce = {
  /** True while the client's address, or the pair of user and address, has failed too often. */
  isBlocked(ip: string, user?: string, door?: Door): boolean;
  /** Counts at once. `kept` resolves when the store has the count, and rejects when the store fails. */
  recordFailure(ip: string, user: string, door?: Door): { readonly inMinute: number; readonly kept: Promise<void> };
  reload(limits: AuthLimits): void;
};

type BruteForceOptions = Pick<SubmissionOptions, 'auth' | 'failures'> & {
  readonly now: () => number;
  /** Clients that have logged in. Guessers in the networks around them do not count against them. */
  readonly known: Pick<KnownClients, 'has'>;
};

/** Reads the counts of the last run. Rejects when the store fails. */
export async function createBruteForce({ auth, failures, now, known }: BruteForceOptions): Promise<BruteForce> {
  let limits = auth;
  let allowed = createNetworks(limits.allow);
  const counts = createCache<string, FailureCount>(REMEMBERED);
  for (const count of await failures.failures(now())) counts.set(count.key, count);

  return {
    isBlocked(ip, user, door = 'smtp') {
      if (counts.size === 0 || allowed.has(ip)) return false;
      const time = now();
      const isOver = (key: string, times = 1) => isAbove(counts.get(countKey(door, key)), limits, times, time);
      const key = clientKey(ip);
      if (isOver(key) || (user !== undefined && isOver(pairKey(key, user)))) return true;
      return !known.has(key) && networksAround(ip).some((network) => isOver(network.key, network.clients));
    },
    recordFailure(ip, user, door = 'smtp') {
      if (allowed.has(ip)) return { inMinute: 0, kept: Promise.resolve() };
      const time = now();
      const key = clientKey(ip);
      const around = known.has(key) ? [] : networksAround(ip);
      const keys = [key, pairKey(key, user), ...around.map((network) => network.key)];
      const counted = keys.map((plain) => {
        const one = countKey(door, plain);
        const count = nextCount(counts.get(one), one, time);
        counts.set(one, count);
        return count;
      });
      // Other machines count failures of the same clients: each learns of them with its own next failure.
      const kept = failures.putFailures(counted, time).then((sums) => {
        for (const sum of sums) if (sum.inDay > (counts.get(sum.key)?.inDay ?? 0)) counts.set(sum.key, sum);
      });
      return { inMinute: counted[0]!.inMinute, kept };
    },
    reload(next) {
      limits = next;
      allowed = createNetworks(next.allow);
    },
  };
}

/** A window that ends farther ahead than it is long is over: its clock has been set back. */
const runs = (endsAt: number, length: number, now: number) => now < endsAt && endsAt <= now + length;

function isAbove(count: FailureCount | undefined, limits: AuthLimits, times: number, now: number): boolean {
  if (count === undefined) return false;
  const { inMinute, minuteEndsAt, inDay, dayEndsAt } = count;
  return (
    (runs(minuteEndsAt, MINUTE, now) && inMinute >= limits.failuresPerMinute * times) ||
    (runs(dayEndsAt, DAY, now) && inDay >= limits.failuresPerDay * times)
  );
}

function nextCount(before: FailureCount | undefined, key: string, now: number): FailureCount {
  const inWindow = (length: number, count = 0, endsAt = 0): [count: number, endsAt: number] =>
    runs(endsAt, length, now) ? [count + 1, endsAt] : [1, now + length];
  const [inMinute, minuteEndsAt] = inWindow(MINUTE, before?.inMinute, before?.minuteEndsAt);
  const [inDay, dayEndsAt] = inWindow(DAY, before?.inDay, before?.dayEndsAt);
  return { key, inMinute, minuteEndsAt, inDay, dayEndsAt };
}

/** No address begins with a word. */
function countKey(door: Door, key: string): string {
  return door === 'smtp' ? key : `${door} ${key}`;
}

/** Not the name itself: it may be long, and people type their password there. The address keeps equal names from having equal keys. */
function pairKey(key: string, user: string): string {
  return `${key} ${hash('sha256', `${key} ${user}`, 'base64url')}`;
}
