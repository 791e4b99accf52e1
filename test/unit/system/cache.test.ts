import { expect, test, vi } from 'vitest';
import { createCache } from '../../../src/system/cache.ts';

test('an entry expires after its time, and asking for it starts no timer', () => {
  const time = vi.spyOn(performance, 'now');
  const timers = vi.spyOn(globalThis, 'setTimeout');
  time.mockReturnValue(1000);
  const cache = createCache<string, number>(10, 500);
  cache.set('a', 1);
  time.mockReturnValue(1500);
  expect(cache.get('a')).toBe(1);
  time.mockReturnValue(1501);
  expect(cache.get('a')).toBeUndefined();
  expect(timers).not.toHaveBeenCalled();
  vi.restoreAllMocks();
});
