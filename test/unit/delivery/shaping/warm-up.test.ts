/** How much a provider gets from an address of ours that it does not know yet. */
import { expect, test } from 'vitest';
import { WarmUp } from '../../../../src/delivery/shaping/warm-up.ts';
import { DAY, HOUR } from '../../../../src/system/clock.ts';

const NOON = 20_000 * DAY + 12 * HOUR;

/** As many as go now. */
function send(warmUp: WarmUp, count: number, now: number, priority = true): number {
  let sent = 0;
  for (; sent < count && warmUp.waits(priority, now) === undefined; sent++) warmUp.note(now);
  return sent;
}

test('it gets 50 messages on the first day, then twice as many on each day, and in the end as many as there are', () => {
  const warmUp = new WarmUp(NOON);
  const days = Array.from({ length: 9 }, (_, day) => send(warmUp, 10_000, NOON + day * DAY));
  expect(days).toEqual([50, 100, 200, 400, 800, 1600, 3200, 5000, 10_000]);
});

test('what waits, waits until midnight, and mail with priority does not wait behind other mail', () => {
  const warmUp = new WarmUp(NOON);
  expect(send(warmUp, 1000, NOON, false)).toBe(40);
  expect(warmUp.waits(false, NOON)).toBe(20_001 * DAY);
  expect(send(warmUp, 1000, NOON, true)).toBe(10);
  expect(warmUp.waits(true, NOON)).toBe(20_001 * DAY);
});

test('a day on which the provider asks for less is repeated, and a block goes back two steps', () => {
  const warmUp = new WarmUp(NOON);
  send(warmUp, 1000, NOON);
  warmUp.throttled();
  expect(send(warmUp, 1000, NOON + DAY)).toBe(50);
  expect(send(warmUp, 1000, NOON + 2 * DAY)).toBe(100);
  expect(send(warmUp, 1000, NOON + 3 * DAY)).toBe(200);
  warmUp.blocked(NOON + 3 * DAY);
  expect(send(warmUp, 1000, NOON + 4 * DAY)).toBe(50);
});

test('an office with 30 messages a day never waits, and after a week nothing is counted', () => {
  const warmUp = new WarmUp(NOON);
  for (let day = 0; day < 7; day++) expect(send(warmUp, 30, NOON + day * DAY, false)).toBe(30);
  expect(warmUp.isOver(NOON + 7 * DAY)).toBe(true);
});

test('an address that has sent nothing for a week is as new as before, and after a month half as well known', () => {
  const warmUp = new WarmUp(NOON);
  send(warmUp, 1000, NOON);
  send(warmUp, 1000, NOON + DAY);
  expect(send(warmUp, 10_000, NOON + 9 * DAY), 'one step, and no end').toBe(200);
  expect(send(warmUp, 10_000, NOON + 10 * DAY)).toBe(400);
  expect(send(warmUp, 10_000, NOON + 40 * DAY), 'the step would be the fifth').toBe(200);
});

test('a restart gives no message more than the day allows', () => {
  const warmUp = new WarmUp(NOON);
  let { stored } = warmUp;
  for (let i = 0; i < 23; i++) if (warmUp.note(NOON)) stored = warmUp.stored;
  expect(send(new WarmUp(NOON, stored), 1000, NOON)).toBeLessThanOrEqual(27);
  expect(send(new WarmUp(NOON, stored), 1000, NOON)).toBeGreaterThanOrEqual(22);
});
