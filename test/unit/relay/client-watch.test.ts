/** The watch of clients: it keeps events while somebody looks. */
import { expect, test } from 'vitest';
import type { RelayEvent } from '../../../src/events/events.ts';
import { createClientWatch } from '../../../src/relay/client-watch.ts';
import { MINUTE } from '../../../src/system/clock.ts';

const connected = (session: string): RelayEvent => ({
  event: 'connected',
  fields: { session, listener: 'submission', ip: '192.0.2.1' },
});

test('keeps what clients do while somebody looks, and forgets it when nobody does', () => {
  let now = 1000;
  const watch = createClientWatch(() => now);
  watch.observe(connected('before'));
  expect(watch.look()).toEqual([]);
  watch.observe(connected('one'));
  watch.observe({ event: 'reloaded', fields: {} });
  expect(watch.look()).toEqual([{ at: 1000, event: connected('one') }]);
  now += 3 * MINUTE;
  watch.observe(connected('late'));
  expect(watch.look()).toEqual([]);
});

test('keeps the newest two thousand', () => {
  const watch = createClientWatch(() => 1000);
  watch.look();
  for (let count = 0; count < 2500; count++) watch.observe(connected(String(count)));
  expect(watch.look()).toHaveLength(2000);
  expect(watch.look().at(-1)?.event).toEqual(connected('2499'));
});
