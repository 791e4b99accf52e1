/** What refusals say of addresses, through delivery, queue and store, with providers that follow a script. */
import { expect, test, vi } from 'vitest';
import { createEventLog } from '../../src/events/events.ts';
import { createBlockNews, followProviders } from '../../src/relay/block-notices.ts';
import { suppressionState } from '../../src/store/suppression.ts';
import { DAY, HOUR } from '../../src/system/clock.ts';
import { createLog } from '../../src/system/log.ts';
import { type ProviderWorld, startProviderWorld } from '../support/provider-world.ts';
import { recipient } from '../support/queue-rig.ts';

/** A reply that only Microsoft 365 has, about our address. */
const BANNED = '550 5.7.606 Access denied, banned sending IP [192.0.2.1]. To request removal visit https://sender.office.com/';
const NO_USER = '550 5.1.1 <x> User unknown';

/** One message to these addresses. Resolves when all of them have ended, or wait. */
async function sent(world: ProviderWorld, addresses: readonly string[], state = 'failed'): Promise<void> {
  const id = await world.send(addresses[0]!, { recipients: addresses.map((address) => recipient(address)) });
  await vi.waitFor(
    async () => {
      const stored = await world.store.messages.get(id);
      expect(stored!.recipients.every((one) => one.state === state)).toBe(true);
    },
    { timeout: 30_000, interval: 50 },
  );
}

const states = async (world: ProviderWorld) =>
  (await world.store.suppression.list('', 1000)).map((row) => suppressionState(row, world.clock.now));
const many = (count: number, domain: string) => Array.from({ length: count }, (_, i) => `a${i}@${domain}`);

test('two refusals of an address at RCPT suppress it when they are twelve hours apart, also after a restart; mail that arrives ends it', async () => {
  let answer: string | undefined = NO_USER;
  const world = await startProviderWorld({}, { RCPT: () => answer });
  await sent(world, ['anna@o.test']);
  expect(await states(world)).toEqual(['suspected']);
  world.clock.now += HOUR;
  await sent(world, ['anna@o.test']);
  expect(await states(world)).toEqual(['suspected']);
  await world.restart();
  world.clock.now += 11 * HOUR;
  await sent(world, ['Anna@o.test']);
  expect(await states(world)).toEqual(['suppressed']);
  world.clock.now += 90 * DAY;
  expect(await states(world)).toEqual(['expired']);
  answer = undefined;
  await sent(world, ['anna@o.test'], 'relayed');
  expect(await states(world)).toEqual([]);
});

test('a header that 200 receivers refuse says nothing of their addresses', async () => {
  const world = await startProviderWorld({}, { message: '550 5.6.0 Message header is malformed: duplicate Date' });
  for (const after of [0, 13 * HOUR]) {
    world.clock.now += after;
    await sent(world, many(200, 'o.test'));
  }
  expect(await states(world)).toEqual([]);
}, 60_000);

test('a reply to the text counts only for the recipient that it names', async () => {
  const world = await startProviderWorld({}, { message: '550 5.1.1 <a1@o.test>: user unknown' });
  await sent(world, many(3, 'o.test'));
  expect((await world.store.suppression.list('', 10)).map(({ address }) => address)).toEqual(['a1@o.test']);
});

test('500 addresses that a provider refused for reasons of ours are not suppressed once its breaker trips', async () => {
  let answer = '550 5.4.1 Recipient address rejected: Access denied. AS(201806281)';
  const world = await startProviderWorld({ RCPT: () => answer, MAIL: () => (answer === BANNED ? answer : undefined) });
  await sent(world, many(500, 't0.test'));
  const before = await states(world);
  expect(new Set(before)).toEqual(new Set(['suspected']));
  expect(before).toHaveLength(500);
  world.clock.now += 13 * HOUR;
  await sent(world, many(500, 't0.test'));
  expect((await states(world)).filter((state) => state === 'suppressed')).toHaveLength(20);

  answer = BANNED;
  await world.send('b@t1.test');
  await vi.waitFor(() => expect(world.news).toHaveLength(1), { timeout: 30_000, interval: 50 });
  const log = createEventLog(createLog({ level: 'silent', format: 'json' }));
  const told = followProviders(createBlockNews(log, { store: world.store, dns: {} as never, hostname: 'relay.test' }), {
    ...{ store: world.store, delivery: world.delivery, log, send: async () => {} },
    config: () => ({ hostname: 'relay.test', operator: undefined, delivery: { providers: undefined } }) as never,
  });
  await told();
  expect((await states(world)).filter((state) => state === 'suppressed')).toEqual([]);
  expect((await states(world)).length).toBe(0);
}, 120_000);
