/** How many threads sessions have. */
import { expect, test } from 'vitest';
import { threadsOf } from '../../../src/relay/session-threads.ts';

test('auto leaves one core to the main thread and the store, and is never less than one', () => {
  expect([1, 2, 3, 8].map((cores) => threadsOf({ threads: 'auto' }, cores))).toEqual([1, 1, 2, 7]);
});

test('a number is taken as it is', () => {
  expect(threadsOf({ threads: 3 }, 1)).toBe(3);
});
