/** How many threads sessions have. */
import { expect, test } from 'vitest';
import { threadsOf } from '../../../src/system/thread-count.ts';

test('auto leaves one core to the main thread and the store, and is never less than one', () => {
  expect([1, 2, 3, 8].map((cores) => threadsOf({ threads: 'auto' }, { cores, node: '24.21.0' }))).toEqual([1, 1, 2, 7]);
});

test('a number is taken as it is', () => {
  expect(threadsOf({ threads: 3 }, { cores: 1, node: '26.0.1' })).toBe(3);
});

test('a Node that cannot hand connections over serves all in one thread, and refuses a number in one sentence', () => {
  expect(threadsOf({ threads: 'auto' }, { cores: 8, node: '22.19.0' })).toBe(1);
  expect(threadsOf({ threads: 1 }, { cores: 8, node: '22.19.0' })).toBe(1);
  expect(() => threadsOf({ threads: 2 }, { cores: 8, node: '24.20.9' })).toThrow(
    'threads: more than one needs Node 24.21 or newer; this is 24.20.9',
  );
});
