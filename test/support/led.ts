/** Data under a lease, for stores in memory and for tests that need no lease. */
import type { Lease, Led, LedData, StoreData } from '../../src/store/store.ts';

const CHANGES = /^(put|set|keep|add|remove|trim|forget|release|reroute|update|change)/;

/** @param holder who has the lease of this name now. */
export function led<T extends object>(part: T, holder: (name: string) => string | undefined, { name, owner }: Lease): Led<T> {
  const guarded = Object.entries(part).map(([key, method]) => [
    key,
    CHANGES.test(key)
      ? async (...args: unknown[]) => {
          if (holder(name) !== owner) throw Object.assign(new Error(`Another process has the lease ${name}`), { code: 'ELEASE' });
          return method(...args);
        }
      : method,
  ]);
  return Object.fromEntries(guarded) as Led<T>;
}

export function ledParts(data: Omit<StoreData, 'underLease'>, holder: Parameters<typeof led>[1], lease: Lease): LedData {
  const parts = Object.entries(data).filter(([, part]) => typeof part === 'object');
  return Object.fromEntries(parts.map(([name, part]) => [name, led(part as object, holder, lease)])) as unknown as LedData;
}

/** For a test of what a leader does, and not of who may do it. */
export const asLeader = <T>(part: T): Led<T> => part as Led<T>;
