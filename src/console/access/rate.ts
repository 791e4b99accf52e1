/** How often somebody may ask: so many at once, then so many a second. */
import { createCache } from '../../system/cache.ts';
import { type Clock, SECOND } from '../../system/clock.ts';

type Rate = { readonly perSecond: number; readonly burst: number };

const REMEMBERED = 10_000;

/** @param now milliseconds of a clock that is never set. @returns a function that counts one request and says how many seconds it comes too early; 0: it may go on. */
export function createRate({ perSecond, burst }: Rate, now: Clock): (key: string) => number {
  const buckets = createCache<string, { readonly left: number; readonly at: number }>(REMEMBERED);
  return (key) => {
    const at = now();
    const before = buckets.get(key) ?? { left: burst, at };
    const left = Math.min(burst, before.left + ((at - before.at) / SECOND) * perSecond);
    buckets.set(key, { left: left < 1 ? left : left - 1, at });
    return left < 1 ? Math.ceil((1 - left) / perSecond) : 0;
  };
}
