/** A relay whose address is new sends little to each provider at first, and nobody loses or gets back mail for it. */
import { expect, test } from 'vitest';
import { DAY, MINUTE } from '../../src/system/clock.ts';
import { startProviderWorld } from '../support/provider-world.ts';

const BOSS = 'boss@example.net';

test('a new address sends 50 messages to a provider on its first day, those with priority first, and more on the next; others are not affected', {
  timeout: 90_000,
}, async () => {
  const world = await startProviderWorld({}, {}, { warmUp: 'on', priority: [BOSS] });
  for (let i = 0; i < 60; i++) await world.send('u@g.test', { reversePath: `s${i}@from.test` });
  await world.mx.received(40, 20_000);
  await world.pass(2 * MINUTE);
  expect(world.mx.count()).toBe(40);
  await world.send('u@g.test', { user: BOSS, reversePath: BOSS });
  expect((await world.mx.received(41, 20_000)).at(-1)?.mailFrom).toBe(BOSS);
  await world.restart();
  await world.pass(MINUTE);
  expect(world.mx.count()).toBe(41);
  await world.send('u@o.test');
  await world.elsewhere.received(1);
  for (let i = 0; i < 20; i++) await world.send('u@y.test');
  await world.mx.received(61, 20_000);
  const midnight = Math.ceil(world.clock.now / DAY) * DAY;
  await world.pass(midnight - world.clock.now + MINUTE);
  await world.mx.received(81, 30_000);
  expect(world.reports.filter(({ action }) => action !== 'delayed')).toEqual([]);
});

test('a relay that has sent mail before is not held back', { timeout: 60_000 }, async () => {
  const world = await startProviderWorld({});
  await world.send('u@o.test');
  await world.elsewhere.received(1);
  const again = await startProviderWorld({}, {}, { warmUp: 'on' });
  await again.store.operation.setValue('provider.addresses', 'known');
  await again.restart();
  for (let i = 0; i < 45; i++) await again.send('u@g.test');
  await again.mx.received(45, 20_000);
  expect(await world.store.operation.value('provider.addresses')).toBe('new');
});
