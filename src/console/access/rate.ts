/** How often somebody may ask: so many at once, then so many a second. */
import { createCache } from '../../system/cache.ts';
import { type Clock, SECOND } from '../../system/clock.ts';

type Rate = { readonly perSecond: number; readonly burst: number };

const REMEMBERED = 10_000;

/** @param now milliseconds of a clock that is never set. */
export function createRate({ perSecond, burst }: Rate, now: Clock) {
  const buckets = createCache<string, { readonly left: number; readonly at: number }>(REMEMBERED);
  const leftOf = (key: string) => {
    const at = now();
    const before = buckets.get(key) ?? { left: burst, at };
    return { at, left: Math.min(burst, before.left + ((at - before.at) / SECOND) * perSecond) };
  };
  return {
    /** Counts one request. @returns how many seconds it comes too early; 0: it may go on. */
    take(key: string): number {
      const { at, left } = leftOf(key);
      buckets.set(key, { left: left < 1 ? left : left - 1, at });
      return left < 1 ? Math.ceil((1 - left) / perSecond) : 0;
    },
    /** The last request does not count. */
    giveBack(key: string): void {
      const { at, left } = leftOf(key);
      buckets.set(key, { left: Math.min(burst, left + 1), at });
    },
  };
}
