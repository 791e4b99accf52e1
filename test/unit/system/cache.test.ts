import { expect, test, vi } from 'vitest';
import { createCache, createSizedCache } from '../../../src/system/cache.ts';

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

test('the least recently used entry is removed where one more has no room', () => {
  const cache = createCache<string, number>(2);
  cache.set('a', 1).set('b', 2);
  cache.get('a');
  cache.set('c', 3);
  expect([cache.get('a'), cache.get('b'), cache.get('c'), cache.size]).toEqual([1, undefined, 3, 2]);
});

test('a cache takes memory for what it holds, not for what it may hold', () => {
  const before = process.memoryUsage().arrayBuffers;
  const caches = [createCache(1_000_000), createCache(1_000_000, 1000), createSizedCache(1_000_000, 1e9, () => 1)];
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1_000_000);
  expect(caches.map(({ size }) => size)).toEqual([0, 0, 0]);
});

test('a cache of sizes keeps neither more bytes nor more entries than it may', () => {
  const cache = createSizedCache<number, { readonly bytes: number }>(3, 99, ({ bytes }) => bytes);
  for (let i = 0; i < 5; i++) cache.set(i, { bytes: 1 });
  expect([0, 1, 2, 3, 4].filter((i) => cache.has(i))).toEqual([2, 3, 4]);
  cache.set(5, { bytes: 90 });
  expect([2, 3, 4, 5].filter((i) => cache.has(i))).toEqual([5]);
  cache.set(6, { bytes: 101 });
  expect(cache.has(6)).toBe(false);
});
