/** A provider that refuses our address: what is held, how it is asked again, and how its mail goes on. */
import { expect, test } from 'vitest';
import { DAY, HOUR, MINUTE, SECOND } from '../../src/system/clock.ts';
import { type ProviderWorld, startProviderWorld } from '../support/provider-world.ts';

/** A reply that only Microsoft 365 has, about the address. */
const BANNED = '550 5.7.606 Access denied, banned sending IP [192.0.2.1]. To request removal visit https://sender.office.com/';

const MAIL = 40;

async function blocked(): Promise<ProviderWorld> {
  const world = await startProviderWorld({ MAIL: BANNED });
  await world.send('u@t0.test', { reversePath: 's0@from0.test' });
  await expect.poll(world.held).toEqual([['microsoft365', 1]]);
  for (let i = 1; i < MAIL; i++) await world.send(`u@t${i % 5}.test`, { reversePath: `s${i}@from${i % 5}.test` });
  await expect.poll(world.held, { timeout: 20_000 }).toEqual([['microsoft365', MAIL]]);
  return world;
}

test('one sure refusal holds all mail of the provider, nothing is returned, and nobody connects until the probe', async () => {
  const world = await blocked();
  const before = world.mx.sessions();
  expect(before).toBeLessThanOrEqual(2);
  expect(world.news).toHaveLength(1);
  expect(world.news).toMatchObject([{ provider: 'microsoft365', state: 'blocked', cause: { class: 'address-blocked' } }]);
  expect(await world.state('microsoft365')).toMatchObject({ state: 'blocked', until: world.clock.now + 2 * HOUR });
  await world.send('u@o.test');
  await world.elsewhere.received(1);
  await world.pass(HOUR);
  expect(world.mx.sessions()).toBe(before);
  expect(world.reports).toEqual([]);
  const [held] = await world.store.messages.list({});
  expect(held?.recipients).toMatchObject([
    { state: 'delayed', heldBy: 'microsoft365', lastReply: expect.stringContaining('5.7.606') },
  ]);
});

test('a host of somebody else beside those of a provider holds no mail of the provider', async () => {
  const world = await startProviderWorld({}, { MAIL: '550 5.7.1 Go away, relay.example.net' });
  await world.send('u@f.test');
  await expect.poll(async () => (await world.store.messages.list({}))[0]!.recipients[0]!.attempts).toBe(1);
  expect(world.elsewhere.sessions()).toBe(1);
  await world.send('u@g.test');
  await world.mx.received(1);
  expect(world.news).toEqual([]);
  expect(await world.held()).toEqual([]);
});

test('what one domain refuses holds no mail of the provider while it takes that of others, until a second domain says so', async () => {
  const refused = new Set(['t0.test']);
  const world = await startProviderWorld({ RCPT: ({ address }) => (refused.has(address.split('@')[1]!) ? BANNED : undefined) });
  const attempts = async () => (await world.store.messages.list({})).map(({ recipients }) => recipients[0]?.attempts);
  await world.send('u@t1.test');
  await world.mx.received(1);
  for (let i = 0; i < 3; i++) await world.send(`u${i}@t0.test`, { reversePath: `s@from${i}.test` });
  await expect.poll(attempts).toEqual(expect.arrayContaining([1, 1, 1]));
  await world.send('u@t2.test');
  await world.mx.received(2);
  expect(world.news).toEqual([]);
  expect(await world.held()).toEqual([]); // so nobody reads that the provider holds it
  refused.add('t3.test');
  await world.send('u@t3.test');
  await expect.poll(() => world.news).toMatchObject([{ provider: 'microsoft365', state: 'blocked' }]);
  expect(world.reports).toEqual([]);
});

test('one domain that names our address in its refusals holds no mail of others at its provider, and its own keeps waiting', async () => {
  const world = await startProviderWorld({
    RCPT: ({ address }) => (address.endsWith('@t0.test') ? '550 5.7.1 Go away, relay.example.net' : undefined),
  });
  await world.send('u0@t0.test');
  await expect.poll(async () => (await world.store.messages.list({}))[0]!.recipients[0]!.attempts).toBe(1);
  const sessions = world.mx.sessions();
  for (let i = 1; i < 4; i++) await world.send(`u${i}@t0.test`, { reversePath: `s@from${i}.test` });
  await expect.poll(world.held).toEqual([['t0.test', 3]]);
  await world.send('u@t1.test');
  await world.mx.received(1);
  expect(world.news).toEqual([]);
  expect(world.mx.sessions()).toBe(sessions + 1);
  for (let hour = 0; hour < 5; hour++) await world.pass(HOUR + MINUTE);
  await expect.poll(() => world.reports.length).toBeGreaterThanOrEqual(4);
  expect(world.reports.map(({ action }) => action)).not.toContain('failed');
  world.mx.script({});
  await world.pass(4 * HOUR + MINUTE);
  await world.mx.received(5, 20_000);
  expect(await world.held()).toEqual([]);
});

test('the sender is warned in the words of the provider, and told that its message is not the cause', async () => {
  const world = await blocked();
  for (let hour = 0; hour < 5; hour++) await world.pass(HOUR);
  await expect.poll(() => world.reports.length).toBe(MAIL);
  const [report] = world.reports;
  expect(report).toMatchObject({ action: 'delayed', outcome: { reply: { text: expect.stringContaining('banned sending IP') } } });
  expect(report!.outcome!.reply.text).toContain('The cause is not this message');
});

test('one message is sent after 2, 4, 8 and 12 hours, another one each time, and the state outlives the process', async () => {
  const world = await blocked();
  let sessions = world.mx.sessions();
  for (const hours of [2, 4, 8, 12, 12]) {
    await world.pass(hours * HOUR - MINUTE);
    expect(world.mx.sessions()).toBe(sessions);
    await world.restart();
    await world.pass(2 * MINUTE);
    await expect.poll(() => world.mx.sessions()).toBe(sessions + 1);
    sessions++;
    await expect
      .poll(async () => (await world.state('microsoft365'))?.until, { timeout: 10_000 })
      .toBeGreaterThan(world.clock.now + HOUR);
    expect(world.news).toEqual([]);
  }
  const tried = (await world.store.messages.list({})).filter(({ recipients }) => recipients[0]!.attempts > 0);
  expect(tried.map(({ recipients }) => recipients[0]!.attempts)).toEqual(tried.map(() => 1));
  expect(tried.map(({ id }) => id)).toEqual((await world.store.messages.list({ limit: 6 })).map(({ id }) => id));
});

test('when the provider takes mail again, all of it arrives in the order of its age, at 20 in the first hour, and one word is said', {
  timeout: 60_000,
}, async () => {
  const world = await blocked();
  world.mx.script({});
  await world.pass(2 * HOUR + MINUTE);
  await world.mx.received(1);
  await expect.poll(async () => (await world.state('microsoft365'))?.state).toBe('half-open');
  await world.mx.received(20, 30_000);
  await world.pass(10 * MINUTE);
  expect(world.mx.count()).toBe(20);
  expect(await world.held()).toEqual([['microsoft365', MAIL - 20]]);
  await world.pass(51 * MINUTE);
  await world.mx.received(40, 30_000);
  await world.pass(HOUR);
  const senders = world.mx.messages.map(({ mailFrom }) => Number(/^s(\d+)/.exec(mailFrom)![1]));
  expect(senders.toSorted((a, b) => a - b)).toEqual(Array.from({ length: MAIL }, (_, i) => i));
  // One is released each second: a busy machine may deliver the next one first.
  for (const [place, sender] of senders.entries()) expect(Math.abs(place - sender), String(sender)).toBeLessThanOrEqual(5);
  expect(await world.held()).toEqual([]);
  await world.send('u@t0.test');
  await world.mx.received(41);
  await expect.poll(() => world.news.map(({ state }) => state)).toEqual(['blocked', 'open']);
});

test('a reply that is perhaps about us is one when three recipients and two domains have met it; until then mail waits', async () => {
  const world = await startProviderWorld({ MAIL: '550 5.7.1 Connections from your network are not welcome here' });
  const send = async (n: number, from: string) => {
    const before = world.mx.sessions();
    await world.send(`u${n}@t${n}.test`, { reversePath: `s@${from}` });
    await expect.poll(() => world.mx.sessions()).toBeGreaterThan(before);
  };
  for (let n = 0; n < 3; n++) await send(n, 'one.test');
  expect(await world.held()).toEqual([]);
  expect((await world.state('microsoft365'))?.state ?? 'open').toBe('open');
  await world.send('u@t3.test', { reversePath: 's@one.test' });
  await send(4, 'two.test');
  await expect.poll(async () => (await world.state('microsoft365'))?.state).toBe('blocked');
  expect(world.reports).toEqual([]);
});

test('a refusal of unknown addresses at the greeting is said at once, and nothing is returned', async () => {
  const world = await startProviderWorld({
    greeting:
      '554 IP=192.0.2.1 - None/bad reputation. Ask your postmaster for help or to contact tosa@rx.t-online.de for reset. (NOWL)',
  });
  await world.send('u@d.test');
  await expect.poll(() => world.news).toMatchObject([{ provider: 'tonline', state: 'blocked' }]);
  await expect.poll(world.held).toEqual([['tonline', 1]]);
  expect(world.reports).toEqual([]);
});

test('a throttle of Yahoo rests all its hosts for two hours, then one session goes', async () => {
  const world = await startProviderWorld({
    MAIL: '421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to unexpected volume or user complaints - 4.16.55.1',
  });
  await world.send('u@y.test');
  await expect.poll(async () => (await world.state('yahoo'))?.state).toBe('resting');
  const sessions = world.mx.sessions();
  expect((await world.state('yahoo'))!.until - world.clock.now).toBe(2 * HOUR);
  world.mx.script({});
  for (let i = 0; i < 5; i++) await world.send('u@y.test');
  await world.pass(2 * HOUR - MINUTE);
  expect(world.mx.sessions()).toBe(sessions);
  await world.pass(2 * MINUTE);
  await world.mx.received(6, 20_000);
  expect(world.mx.sessions()).toBe(sessions + 1);
});

test("an operator's hold keeps all mail of a provider that nobody has met yet, and open lets it go", async () => {
  const world = await startProviderWorld({});
  world.delivery.commandProvider('yahoo', 'hold');
  await world.send('u@y.test');
  await expect.poll(world.held).toEqual([['yahoo', 1]]);
  expect(world.mx.sessions()).toBe(0);
  expect(world.news).toMatchObject([{ provider: 'yahoo', state: 'blocked', cause: { class: 'operator' } }]);
  // The provider would take it: only the operator's word counts, also over a restart.
  await world.pass(3 * HOUR);
  await world.restart();
  world.delivery.commandProvider('yahoo', 'probe');
  await world.send('u@y.test');
  for (let hours = 0; hours < 26; hours += 13) await world.pass(13 * HOUR);
  await expect.poll(world.held).toEqual([['yahoo', 2]]);
  expect(world.mx.sessions()).toBe(0);
  expect(await world.state('yahoo')).toMatchObject({ state: 'blocked' });
  world.delivery.commandProvider('yahoo', 'open');
  await world.mx.received(2, 20_000);
  expect(world.news.at(-1)).toMatchObject({ provider: 'yahoo', state: 'open' });
});

test('mail goes at once when another address of ours is used than the one that is refused, after a reload and after a start', async () => {
  const world = await startProviderWorld({ MAIL: ({ remote }) => (remote === '127.0.4.77' ? undefined : BANNED) });
  await world.send('u@t0.test');
  await expect.poll(world.held).toEqual([['microsoft365', 1]]);
  world.delivery.reload({ source: ['127.0.4.77'] });
  await world.mx.received(1);
  expect((await world.state('microsoft365'))?.state).toBe('open');
  world.delivery.reload({ source: [] });
  await world.send('u@t0.test');
  await expect.poll(world.held).toEqual([['microsoft365', 1]]);
  await world.restart({ source: ['127.0.4.77'] });
  await world.mx.received(2);
  await expect.poll(async () => (await world.state('microsoft365'))?.state).toBe('open');
  expect(await world.held()).toEqual([]);
});

test('no mail of a user whose mail was taken for spam finds out whether a block has ended', async () => {
  const world = await startProviderWorld(
    { RCPT: BANNED },
    { message: '550 5.7.1 Message rejected because it contains spam content' },
  );
  await world.send('u@o.test', { user: 'spammer' });
  await expect.poll(() => world.elsewhere.sessions()).toBe(1);
  await expect.poll(() => world.reports.length).toBe(1);
  await world.send('u@t0.test', { user: 'spammer', reversePath: 'spammer@from.test' });
  await expect.poll(world.held).toEqual([['microsoft365', 1]]);
  world.mx.script({});
  const sessions = world.mx.sessions();
  await world.pass(2 * HOUR + MINUTE);
  await world.send('u@t1.test', { user: 'spammer', reversePath: 'spammer@from.test' });
  await expect.poll(world.held).toEqual([['microsoft365', 2]]);
  expect(world.mx.sessions()).toBe(sessions);
  await world.send('u@t1.test', { user: 'anna', reversePath: 'anna@from.test' });
  await world.mx.received(1);
  expect(world.mx.messages[0]!.mailFrom).toBe('anna@from.test');
});

test('a probe that an operator asks for goes at once, and the ladder goes on', async () => {
  const world = await startProviderWorld({ MAIL: BANNED });
  await world.send('u@t0.test');
  await expect.poll(world.held).toEqual([['microsoft365', 1]]);
  const sessions = world.mx.sessions();
  world.delivery.commandProvider('microsoft365', 'probe');
  await expect.poll(() => world.mx.sessions()).toBe(sessions + 1);
  await expect.poll(async () => (await world.state('microsoft365'))?.until).toBe(world.clock.now + 4 * HOUR);
});

test('mail for 200 recipients of five senders is held by one refusal, after two connections at most, and is one piece of news', {
  timeout: 60_000,
}, async () => {
  const world = await startProviderWorld({
    MAIL: "550 5.7.1 Unfortunately, messages from [192.0.2.1] weren't sent. Please contact your Internet service provider since part of their network is on our block list (S3150).",
  });
  for (let i = 0; i < 200; i++) await world.send(`u${i}@l.test`, { reversePath: `s@from${i % 5}.test` });
  await expect.poll(world.held, { timeout: 40_000 }).toEqual([['outlook', 200]]);
  expect(world.mx.sessions()).toBeLessThanOrEqual(2);
  await world.pass(HOUR);
  expect(world.mx.sessions()).toBeLessThanOrEqual(2);
  expect(world.reports).toEqual([]);
  expect(world.news).toHaveLength(1);
});

test('Google gets nothing for ten minutes when it asks for less, then one session; asked again, nothing for twenty', async () => {
  const world = await startProviderWorld({
    MAIL: '421 4.7.28 [192.0.2.1] Our system has detected an unusual rate of unsolicited email originating from your IP address.',
  });
  for (let i = 0; i < 5; i++) await world.send(`u${i}@g.test`);
  await expect.poll(async () => (await world.state('google'))?.state).toBe('slow');
  for (const minutes of [10, 20]) {
    expect((await world.state('google'))!.until - world.clock.now).toBe(minutes * MINUTE);
    const sessions = world.mx.sessions();
    await world.pass(minutes * MINUTE - SECOND);
    expect(world.mx.sessions()).toBe(sessions);
    await world.pass(MINUTE);
    await expect.poll(() => world.mx.sessions()).toBe(sessions + 1);
    await expect.poll(async () => (await world.state('google'))!.until > world.clock.now).toBe(true);
  }
});

test.each([
  ['yahoo', 'u@y.test', '421 4.7.0 [TSS05] Messages from 192.0.2.1 temporarily deferred due to user complaints - 4.16.55.1', 4],
  ['sfr', 'u@s.test', '421 4.7.0 Veuillez reessayer plus tard. Please try again later. SFR_IN_101 [102]', 2],
])('%s rests as long as it says', async (provider, to, reply, hours) => {
  const world = await startProviderWorld({ MAIL: reply });
  await world.send(to);
  await expect.poll(async () => (await world.state(provider))?.state).toBe('resting');
  expect((await world.state(provider))!.until - world.clock.now).toBe(hours * HOUR);
});

test('a clock that is set back by a day and forward by two holds mail no longer than the longest pause, and lets one message go', async () => {
  const world = await blocked();
  const sessions = world.mx.sessions();
  world.clock.now -= DAY;
  await world.restart();
  await world.pass(12 * HOUR + MINUTE);
  await expect.poll(() => world.mx.sessions()).toBe(sessions + 1);
  await world.pass(3 * DAY);
  await expect.poll(() => world.mx.sessions()).toBe(sessions + 2);
  await world.pass(MINUTE);
  expect(world.mx.sessions()).toBe(sessions + 2);
  expect(await world.state('microsoft365')).toMatchObject({ state: 'blocked' });
});

test('what a connection takes is known after a restart', async () => {
  const world = await startProviderWorld({});
  const carried = new Map<number, number>();
  world.mx.script({
    MAIL: ({ session }) => {
      carried.set(session, (carried.get(session) ?? 0) + 1);
      return carried.get(session)! > 7 ? '421 Max message per connection reached, closing transmission channel' : undefined;
    },
  });
  // The next one begins when the connection of this one is free: two at once would have one connection each.
  const sendOne = async () => {
    await world.send('u@y.test');
    await expect.poll(() => world.store.messages.list({})).toEqual([]);
  };
  for (let i = 0; i < 8; i++) await sendOne();
  await expect.poll(async () => (await world.state('yahoo'))?.learnedCap).toBe(7);
  await world.restart();
  carried.clear();
  for (let i = 8; i < 17; i++) await sendOne();
  expect([...carried.values()]).toEqual([7, 2]);
});
