/** Mail for a provider that refuses our address leaves by the fallback upstream, and makes nothing worse where that one fails. */
import { expect, onTestFinished, test } from 'vitest';
import type { DeliveryOptions } from '../../src/delivery/delivery.ts';
import type { FallbackRule } from '../../src/smtp/route.ts';
import { DAY, HOUR, MINUTE } from '../../src/system/clock.ts';
import { startMx } from '../support/mx.ts';
import type { MxScript, MxServer, MxServerOptions } from '../support/mx-server.ts';
import { type ProviderWorld, startProviderWorld } from '../support/provider-world.ts';

const BANNED = '550 5.7.606 Access denied, banned sending IP [192.0.2.1]. To request removal visit https://sender.office.com/';

type Given = {
  readonly rule?: Partial<FallbackRule>;
  readonly script?: MxScript;
  /** Of the provider. */
  readonly provider?: MxScript;
  readonly auth?: MxServerOptions['auth'];
  readonly more?: Partial<DeliveryOptions>;
};

/** A provider that refuses our address, and a fallback upstream. */
async function worldWithFallback(given: Given = {}): Promise<{ world: ProviderWorld; upstream: MxServer }> {
  const { rule, script = {}, provider = { MAIL: BANNED }, auth, more } = given;
  const upstream = await startMx({ address: '127.0.4.9', hostname: 'up.test', script, ...(auth !== undefined && { auth }) });
  onTestFinished(() => upstream.close());
  const fallback: FallbackRule = { hosts: [`127.0.4.9:${upstream.port}`], tls: 'none', dailyCap: 1000, ...rule };
  const world = await startProviderWorld(provider, {}, { fallback: [fallback], ...more });
  return { world, upstream };
}

/** The provider has just refused our address, and this many messages are held. */
async function block(world: ProviderWorld, count = 1): Promise<void> {
  await world.send('u@t0.test', { reversePath: 's0@from0.test' });
  await expect.poll(world.held).toEqual([['microsoft365', 1]]);
  for (let i = 1; i < count; i++) await world.send(`u@t${i % 5}.test`, { reversePath: `s${i}@from${i % 5}.test` });
  await expect.poll(world.held, { timeout: 20_000 }).toEqual([['microsoft365', count]]);
}

const sendersOf = ({ messages }: MxServer) => messages.map(({ mailFrom }) => Number(/^s(\d+)/.exec(mailFrom)?.[1]));
const states = async (world: ProviderWorld) =>
  (await world.store.messages.list({ limit: 100 })).flatMap(({ recipients }) => recipients.map(({ state }) => state));

test('after the time that is set, held mail leaves by the fallback, the oldest first and one a second, and new mail at once', {
  timeout: 60_000,
}, async () => {
  const { world, upstream } = await worldWithFallback();
  await block(world, 5);
  await world.pass(14 * MINUTE);
  expect(upstream.count()).toBe(0);
  await world.pass(MINUTE + 1);
  const began = Date.now();
  await upstream.received(5, 20_000);
  expect(Date.now() - began).toBeGreaterThan(3000);
  expect(sendersOf(upstream)).toEqual([0, 1, 2, 3, 4]);
  await world.send('u@t1.test', { reversePath: 's5@from1.test' });
  await upstream.received(6, 20_000);
  expect(world.mx.count()).toBe(0);
  expect(world.reports).toEqual([]);
});

test('of a message to two providers only the recipient of the one that refuses takes the other way, and the trace says so', async () => {
  const { world, upstream } = await worldWithFallback({
    rule: { after: 0 },
    provider: { MAIL: undefined, RCPT: refuseMicrosoft },
  });
  await block(world);
  await upstream.received(1);
  const id = await world.send('u@t1.test u@g.test');
  const [moved] = (await upstream.received(2)).slice(1);
  const [direct] = await world.mx.received(1);
  expect(moved!.recipients.map(({ address }) => address)).toEqual(['u@t1.test']);
  expect(direct!.recipients.map(({ address }) => address)).toEqual(['u@g.test']);
  expect(moved!.mailFrom).toBe(direct!.mailFrom);
  expect(moved!.data).toEqual(direct!.data);
  const traces = async () => (await world.store.messages.get(id))?.recipients.map(({ trace }) => trace);
  await expect
    .poll(traces, { timeout: 10_000 })
    .toMatchObject([[{ outcome: 'relayed', via: 'fallback', mx: '127.0.4.9' }], [{ outcome: 'relayed' }]]);
});

const refuseMicrosoft = ({ address }: { readonly address: string }) => (/@t\d/.test(address) ? BANNED : undefined);

test('mail that is refused for its text, its sender or its recipient never takes the other way', async () => {
  const refusals = [
    '550 5.7.1 Our system has detected that this message is likely unsolicited mail',
    '552 5.7.0 This message was blocked because its content presents a potential security issue (virus)',
    '550 5.7.26 This mail has been blocked because the sender is unauthenticated. Gmail requires either SPF or DKIM',
    '550 5.1.1 The email account that you tried to reach does not exist',
  ];
  let next = 0;
  const { world, upstream } = await worldWithFallback({
    rule: { after: 0 },
    provider: { message: () => refusals[next++ % refusals.length] },
  });
  for (let i = 0; i < 100; i++) await world.send(`u${i}@${i % 2 ? 't1' : 'g'}.test`, { reversePath: `s@from${i}.test` });
  await expect.poll(() => next, { timeout: 60_000 }).toBeGreaterThanOrEqual(100);
  await world.pass(20 * MINUTE);
  expect(upstream.sessions()).toBe(0);
}, 90_000);

test('above the cap of a day mail waits, the operator hears it once, and the next day goes on; a restart forgets none of it', {
  timeout: 60_000,
}, async () => {
  const { world, upstream } = await worldWithFallback({ rule: { after: 0, dailyCap: 3 } });
  await block(world);
  await upstream.received(1);
  for (let i = 1; i < 4; i++) await world.send('u@t1.test', { reversePath: `s${i}@from.test` });
  await upstream.received(3);
  await expect.poll(world.held).toEqual([['microsoft365', 1]]);
  await world.restart();
  await world.pass(20 * MINUTE);
  await world.send('u@t2.test', { reversePath: 's4@from.test' });
  await expect.poll(world.held).toEqual([['microsoft365', 2]]);
  expect(upstream.count()).toBe(3);
  expect(world.fallbackNews).toMatchObject([{ kind: 'cap', cap: 3, provider: 'microsoft365' }]);
  await world.pass(DAY);
  for (let hours = 0; hours < 6 && upstream.count() < 5; hours++) await world.pass(HOUR); // each has its own time
  await upstream.received(5, 20_000);
  expect(world.reports.filter(({ action }) => action !== 'delayed')).toEqual([]);
});

test('an upstream that does not let us in returns no mail, is left alone for a while, and is told once', async () => {
  const { world, upstream } = await worldWithFallback({
    rule: { after: 0, login: { user: 'me', password: 'wrong' }, tls: 'none' },
    auth: { user: 'me', password: 'right', clear: true },
  });
  await block(world);
  await expect.poll(() => world.fallbackNews.map(({ kind }) => kind)).toEqual(['failing']);
  const sessions = upstream.sessions();
  for (let i = 0; i < 5; i++) await world.send('u@t1.test');
  await expect.poll(world.held).toEqual([['microsoft365', 6]]);
  await world.pass(20 * MINUTE);
  expect(upstream.sessions()).toBe(sessions);
  expect(world.fallbackNews).toHaveLength(1);
  expect(world.reports).toEqual([]);
});

test.each([
  ['its quota', '554 5.7.0 Daily sending quota exceeded', 'failing'],
  ['a refusal of the sender', '550 5.7.1 Sender address is not verified for your account', 'failing'],
])(
  '%s of the upstream returns no mail, and is told once',
  async (_, reply, kind) => {
    const { world, upstream } = await worldWithFallback({ rule: { after: 0 }, script: { MAIL: reply } });
    await block(world);
    for (let i = 0; i < 4; i++) await world.send('u@t1.test');
    await expect.poll(() => upstream.sessions()).toBeGreaterThan(0);
    for (let i = 0; i < 3; i++) await world.pass(21 * MINUTE);
    expect([...new Set(world.fallbackNews.map((one) => one.kind))]).toEqual([kind]);
    expect(world.reports).toEqual([]);
    expect((await states(world)).every((state) => ['queued', 'delayed', 'active'].includes(state))).toBe(true);
    upstream.script({});
    for (let i = 0; i < 4; i++) await world.pass(HOUR);
    await upstream.received(1, 20_000);
    await expect.poll(() => world.fallbackNews.map((one) => one.kind), { timeout: 20_000 }).toEqual([kind, 'working']);
  },
  60_000,
);

test('what the upstream says of the text delays the message; what it says of the mailbox ends it, and the report names the way', async () => {
  const { world, upstream } = await worldWithFallback({
    rule: { after: 0 },
    script: {
      RCPT: ({ address }) => (address.startsWith('nobody') ? '550 5.1.1 No such user' : undefined),
      message: ({ message }) => (message?.mailFrom.startsWith('big') ? '552 5.3.4 Message too big for us' : undefined),
    },
  });
  await block(world);
  await upstream.received(1);
  await world.send('u@t1.test', { reversePath: 'big@from.test' });
  await world.send('nobody@t1.test');
  await expect.poll(() => world.reports.map(({ action }) => action)).toEqual(['failed']);
  expect(world.reports[0]).toMatchObject({ outcome: { mx: '127.0.4.9', reply: { text: expect.stringContaining('fallback') } } });
  await expect.poll(world.held).toEqual([['microsoft365', 1]]);
  await world.send('u@t1.test');
  await upstream.received(2);
  expect(world.fallbackNews).toEqual([]);
});

test('the provider is asked on meanwhile, and when it takes mail again the fallback ends', { timeout: 60_000 }, async () => {
  const { world, upstream } = await worldWithFallback({ rule: { after: 0 } });
  await block(world);
  await upstream.received(1);
  world.mx.script({});
  await world.pass(2 * HOUR + MINUTE);
  // Nothing is held, so the next message is the probe.
  await expect.poll(async () => (await world.state('microsoft365'))?.until).toBe(world.clock.now + 30 * MINUTE);
  await world.send('u@t1.test', { reversePath: 's1@from.test' });
  await world.mx.received(1, 20_000);
  await expect.poll(async () => (await world.state('microsoft365'))?.state).toBe('half-open');
  await world.pass(HOUR);
  for (let i = 2; i < 4; i++) {
    await world.send('u@t1.test', { reversePath: `s${i}@from.test` });
    await world.mx.received(i, 20_000);
    await world.pass(31 * MINUTE);
  }
  await expect.poll(async () => (await world.state('microsoft365'))?.state).toBe('open');
  await world.send('u@t1.test', { reversePath: 's9@from.test' });
  await world.mx.received(4, 20_000);
  expect(upstream.count()).toBe(1);
});

test('a domain that receivers would take for a forgery from the upstream waits, and the operator hears which', async () => {
  const judged: string[] = [];
  const { world, upstream } = await worldWithFallback({
    rule: { after: 0, domains: ['good.test', 'bad.test'] },
    more: {
      fallbackMail: {
        read: async (id) => {
          const found = await world.store.messages.get(id);
          return { from: [found!.reversePath.split('@')[1]!], reversePath: found!.reversePath, signatures: [] };
        },
        judge: async (from) => {
          judged.push(from);
          return from === 'good.test' ? 'aligned' : 'unaligned';
        },
      },
    },
  });
  await world.send('u@t0.test', { reversePath: 's0@good.test' });
  await upstream.received(1, 20_000);
  for (const domain of ['bad.test', 'other.test', 'good.test']) await world.send('u@t1.test', { reversePath: `s1@${domain}` });
  await upstream.received(2, 20_000);
  await expect.poll(world.held).toEqual([['microsoft365', 2]]);
  expect(upstream.messages.map(({ mailFrom }) => mailFrom)).toEqual(['s0@good.test', 's1@good.test']);
  expect(
    new Set(world.fallbackNews.map((news) => (news.kind === 'unaligned' ? `${news.domain} ${news.why}` : news.kind))),
  ).toEqual(new Set(['bad.test alignment', 'other.test domains']));
  expect(new Set(judged)).toEqual(new Set(['good.test', 'bad.test']));
});
