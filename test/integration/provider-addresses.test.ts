/** Several addresses of ours: mail of a provider that refuses one leaves by another, and IPv6 is used where it has not shown to be no good. */
import { expect, onTestFinished, test } from 'vitest';
import { HOUR, MINUTE } from '../../src/system/clock.ts';
import { startMx } from '../support/mx.ts';
import type { MxContext, MxServer } from '../support/mx-server.ts';
import { type ProviderWorld, startProviderWorld } from '../support/provider-world.ts';

const BANNED = '550 5.7.606 Access denied, banned sending IP [192.0.2.1]. To request removal visit https://sender.office.com/';
const [A, B, NEAR_A, THIRD] = ['127.0.5.1', '127.0.6.1', '127.0.5.2', '127.0.5.3'];

const refusing =
  (...addresses: readonly string[]) =>
  ({ remote }: MxContext) =>
    addresses.includes(remote) ? BANNED : undefined;

const from = ({ messages }: MxServer) => messages.map(({ remoteAddress }) => remoteAddress);
const states = async (world: ProviderWorld) =>
  (await world.store.operation.shaping()).map(({ source, family, state }) => `${family} ${source} ${state}`);

test('where one of two addresses is refused, its mail leaves by the other at once, and where both are, it is held', {
  timeout: 60_000,
}, async () => {
  const world = await startProviderWorld({ MAIL: refusing(A) }, {}, { source: [A, B] });
  await world.send('u@o.test');
  await world.elsewhere.received(1);
  for (let i = 0; i < 5; i++) await world.send(`u@t${i}.test`, { reversePath: `s${i}@from${i}.test` });
  await world.mx.received(5, 20_000);
  expect(new Set(from(world.mx))).toEqual(new Set([B]));
  expect(world.reports).toEqual([]);
  expect(await states(world)).toEqual([`4 ${A} blocked`]);
  await world.send('u@o.test');
  await world.elsewhere.received(2);
  expect(from(world.elsewhere)).toEqual([A, A]);
  world.mx.script({ MAIL: refusing(A, B) });
  for (let i = 0; i < 3; i++) await world.send(`u@t${i}.test`, { reversePath: `s${i}@from${i}.test` });
  // A refusal that comes right after deliveries to others counts when a second domain repeats it.
  await expect.poll(() => states(world), { timeout: 20_000 }).toEqual([`4 ${A} blocked`, `4 ${B} blocked`]);
  const before = world.mx.sessions();
  const id = await world.send('u@t3.test', { reversePath: 's3@from3.test' });
  const heldBy = async () => (await world.store.messages.get(id))?.recipients[0]?.heldBy;
  await expect.poll(heldBy, { timeout: 20_000 }).toBe('microsoft365');
  expect(world.mx.sessions()).toBe(before);
  expect(world.reports).toEqual([]);
});

test('a pace that a provider asks for is no reason to take another address', { timeout: 60_000 }, async () => {
  const less = '421 4.7.28 Our system has detected an unusual rate of unsolicited email originating from your IP address';
  const world = await startProviderWorld({ MAIL: ({ remote }) => (remote === A ? less : undefined) }, {}, { source: [A, B] });
  await world.send('u@g.test');
  await expect.poll(() => states(world)).toEqual([`4 ${A} slow`]);
  await world.send('u@g.test');
  await world.pass(MINUTE);
  expect(world.mx.count()).toBe(0);
});

test('two refused addresses of one network stand for the third', { timeout: 60_000 }, async () => {
  const world = await startProviderWorld({ MAIL: refusing(A, NEAR_A) }, {}, { source: [A, NEAR_A, THIRD] });
  await world.send('u@t0.test', { reversePath: 's0@from0.test' });
  await expect.poll(() => states(world), { timeout: 20_000 }).toEqual([`4 ${A} blocked`, `4 ${NEAR_A} blocked`]);
  await world.send('u@t1.test', { reversePath: 's1@from1.test' });
  await expect.poll(world.held, { timeout: 20_000 }).toEqual([['microsoft365', 2]]);
  await world.pass(MINUTE);
  expect(world.mx.count()).toBe(0);
});

test('a provider that refuses IPv6 gets the mail by IPv4 in the same attempt; after two it gets none by IPv6 for a day, others do', {
  timeout: 90_000,
}, async () => {
  const world = await startProviderWorld({}, {}, { ip: 'v6-first', allowPrivate: ['127.0.0.0/8', '::1/128'] });
  let refuses = true;
  const ptr =
    '550 5.7.25 The IP address sending this message does not have a PTR record setup, or the forward DNS entry does not match';
  const six = await startMx({
    address: '::1',
    port: world.mx.port,
    script: { RCPT: ({ address }) => (refuses && /@g\./.test(address) ? ptr : undefined) },
  });
  onTestFinished(() => six.close());
  world.dns.set('aspmx.l.google.com', { A: [world.mx.address], AAAA: ['::1'] });
  world.dns.set('mx.o.test', { A: [world.elsewhere.address], AAAA: ['::1'] });
  for (let i = 1; i <= 2; i++) {
    const id = await world.send('u@g.test', { reversePath: `s${i}@from${i}.test` });
    await world.mx.received(i, 20_000);
    await expect
      .poll(async () => (await world.store.messages.get(id))?.recipients[0]?.trace.map(({ outcome }) => outcome))
      .toEqual(['relayed']);
  }
  const tried = six.sessions();
  expect(tried).toBe(2);
  await world.send('u@g.test');
  await world.mx.received(3, 20_000);
  await world.send('u@o.test');
  await six.received(1, 20_000);
  expect(six.messages[0]!.recipients[0]!.address).toBe('u@o.test');
  await world.restart();
  await world.pass(23 * HOUR);
  await world.send('u@g.test');
  await world.mx.received(4, 20_000);
  expect(six.commands.filter((line) => line.includes('@g.test')).length).toBe(2);
  expect((await states(world)).filter((state) => !/open$/.test(state))).toEqual([]);
  refuses = false;
  await world.pass(HOUR + MINUTE);
  await world.send('u@g.test');
  await six.received(2, 20_000);
  expect(world.news).toEqual([]);
});
