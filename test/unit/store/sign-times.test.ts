/** When a process tells the database that it lives, and with which settings. */
import { expect, test } from 'vitest';
import { SignTimes } from '../../../src/store/postgres/nodes.ts';

test('settings that are announced while a sign of life is under way are told with one more, at once', () => {
  const times = new SignTimes();
  times.announce();
  const given = times.begin();
  times.announce();
  given(1000);
  expect([times.isUntold, times.isDue(1000)]).toEqual([true, true]);
  times.begin()(1001);
  expect([times.isUntold, times.isDue(1001)]).toEqual([false, false]);
});

test('a sign is due after five seconds, and one that was not given is still due', () => {
  const times = new SignTimes();
  times.begin();
  expect(times.isDue(0)).toBe(true);
  times.begin()(0);
  expect([4999, 5000].map((now) => times.isDue(now))).toEqual([false, true]);
});
