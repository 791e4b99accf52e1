/** A login whose password is in wrong hands, in a whole relay: what is held, who is told, and how it goes on. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { PASSWORD, startTestRelay, type TestRelayOptions, USER } from '../support/relay.ts';
import { submit } from '../support/smtp-send.ts';

const UNKNOWN = '550 5.1.1 No such user here';
const mx: NonNullable<TestRelayOptions['mx']> = {
  script: { RCPT: ({ address }) => (address.startsWith('unknown') ? UNKNOWN : undefined) },
};

async function start(options: TestRelayOptions = {}) {
  const relay = await startTestRelay({
    mx,
    yaml: 'operator: op@operator.test\nalignment: { mode: "off" }', // which has notices of its own
    zone: { 'operator.test': { MX: ['10 mx.dest.test'] } },
    ...options,
    user: { limits: [], ...options.user },
  });
  let closing: Promise<void> | undefined;
  const close = () => (closing ??= relay.close());
  onTestFinished(close);
  const send = (to: string | readonly string[], from = USER, subject = 'Offer') =>
    submit({
      ...{ address: '127.0.0.1', port: relay.ports.submissions, user: USER, password: PASSWORD, from, to: [to].flat() },
      message: `From: ${from}\r\nSubject: ${subject}\r\n\r\nText\r\n`,
    });
  /** A quarter of the recipients do not exist. The ends of each message are awaited. */
  const spam = async (from?: string) => {
    const isHeld = () => relay.log.some(({ event }) => event === 'loginHeld');
    for (let n = 0; n < 15 && !isHeld(); n++) {
      const to = Array.from({ length: 12 }, (_, i) => `${i % 4 === 3 ? 'unknown' : 'known'}${n}-${i}@dest.test`);
      await send(to, from, `Offer ${n}`);
      if (!isHeld())
        await relay.logged('failed', ({ recipient }) => recipient === `unknown${n}-11@dest.test`, 5000).catch(() => {});
    }
    await relay.logged('loginHeld');
  };
  const noticesTo = (address: string) =>
    relay.mx.messages
      .filter(({ recipients }) => recipients.some((one) => one.address === address))
      .map(({ data }) => data.toString().replace(/\s+/g, ' '));
  const stops = async () => (await relay.control.users.show(USER)).stops;
  return { ...relay, close, send, spam, noticesTo, stops };
}

test('Mail of a login that writes to many who do not exist is held with 250, and the operator is told once, with numbers', async () => {
  const relay = await start();
  await relay.spam();
  const held = await relay.logged('loginHeld');
  expect(held).toMatchObject({ user: USER, disabled: false, level: 'warn' });
  await expect.poll(() => relay.noticesTo('op@operator.test'), { timeout: 20_000 }).toHaveLength(1);
  const [text = ''] = relay.noticesTo('op@operator.test');
  expect(text).toContain('of its recipients do not exist');
  expect(text).toContain(`smarthost user release ${USER}`);
  expect(text).toContain('from 127.0.0.1');
  expect(text).toMatch(/Offer \d/);
  const held0 = (await relay.stops())[0]!.heldRecipients;
  for (let n = 0; n < 5; n++) expect(await relay.send(`after${n}@dest.test`)).toMatch(/^250 /);
  const heldNow = async () => (await relay.stops())[0]?.heldRecipients;
  await expect.poll(heldNow, { timeout: 20_000 }).toBeGreaterThanOrEqual(held0 + 5);
  expect(await relay.stops()).toMatchObject([{ sender: null, state: 'held' }]);
  const arrived = relay.mx.messages.flatMap(({ recipients }) => recipients.map(({ address }) => address));
  expect(arrived.filter((address) => address.startsWith('after'))).toEqual([]);
  expect(relay.log.find(({ event }) => event === 'refused')).toBeUndefined();
  expect(relay.log.filter(({ event }) => event === 'loginHeld')).toHaveLength(1);
});

test('A stop and what it holds survive a restart, and a release lets the mail leave, the oldest first, and later mail at once', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'smarthost-behaviour-'));
  onTestFinished(() => rm(dataDir, { recursive: true, force: true }));
  const first = await start({ dataDir });
  await first.spam();
  expect(await first.send('first@dest.test')).toMatch(/^250 /);
  await first.close();
  const second = await start({ dataDir });
  expect(await second.stops()).toMatchObject([{ state: 'held', heldRecipients: expect.any(Number) }]);
  const before = (await second.stops())[0]!.heldRecipients;
  expect(before).toBeGreaterThan(0);
  expect(await second.send('second@dest.test')).toMatch(/^250 /);
  await expect.poll(second.stops, { timeout: 20_000 }).toMatchObject([{ heldRecipients: before + 1 }]);
  expect(second.mx.messages.filter(({ mailFrom }) => mailFrom === USER)).toEqual([]);
  const { value: page = [] } = await second.control.queue.list({ user: USER })[Symbol.asyncIterator]().next();
  expect(page.map(({ recipients }: any) => recipients[0].heldBy)).toEqual(page.map(() => `login:${USER}`));
  expect(await second.control.behaviour.release(USER.toUpperCase(), {})).toMatchObject({ name: USER, state: 'releasing' });
  await second.logged('relayed', ({ queueId }) => queueId === page[0].id);
  expect(await second.send('third@dest.test')).toMatch(/^250 /);
  await second.logged('relayed', ({ recipient }) => recipient === 'third@dest.test');
  expect(await second.stops()).toMatchObject([{ state: 'releasing', heldRecipients: before }]);
  expect((await second.control.users.show(USER)).trustedUntil).not.toBeNull();
  expect(await second.control.behaviour.release(USER, { discard: true })).toMatchObject({ state: 'released' });
  expect(await second.stops()).toEqual([]);
  expect((await second.control.users.show(USER)).trustedUntil).toBeNull();
});

test('Of a mail server only the sender is held: mail of others leaves at once, and no reply is 421 or 5xx', async () => {
  const relay = await start({ user: { mailServer: true } });
  for (let n = 0; n < 12; n++) {
    const to = Array.from({ length: 60 }, (_, i) => `${i % 5 === 0 ? 'unknown' : 'known'}${n}-${i}@dest.test`);
    expect(await relay.send(to, 'news@sender.test')).toMatch(/^250 /);
  }
  expect(await relay.logged('loginHeld')).toMatchObject({ user: USER, sender: 'news@sender.test' });
  expect(await relay.send('late@dest.test', 'news@sender.test')).toMatch(/^250 /);
  expect(await relay.send('other@dest.test', 'anna@sender.test')).toMatch(/^250 /);
  await relay.logged('relayed', ({ recipient }) => recipient === 'other@dest.test');
  expect(relay.log.some(({ event, recipient }) => event === 'relayed' && recipient === 'late@dest.test')).toBe(false);
  await relay.control.behaviour.hold(USER, { sender: 'news@sender.test', refuse: true });
  await expect
    .poll(() => relay.send('x@dest.test', 'news@sender.test').catch(String), { timeout: 20_000 })
    .toMatch(/450 4\.7\.1/);
  expect(await relay.send('more@dest.test', 'anna@sender.test')).toMatch(/^250 /);
});

test('A login that is not watched, or only watched, is not held', async () => {
  const relay = await start({ yaml: 'behaviour: { mode: notice }\noperator: op@operator.test' });
  for (let n = 0; n < 10; n++) await relay.send(Array.from({ length: 12 }, (_, i) => `unknown${n}-${i}@dest.test`));
  await relay.logged('loginUnusual');
  expect(await relay.send('last@dest.test')).toMatch(/^250 /);
  await relay.logged('relayed', ({ recipient }) => recipient === 'last@dest.test');
  expect(await relay.stops()).toEqual([]);
  await expect.poll(() => relay.noticesTo('op@operator.test'), { timeout: 20_000 }).toHaveLength(1);
});

test('The link of a notice releases once when its form is sent, and not when it is followed', async () => {
  const relay = await start({ yaml: 'operator: op@operator.test\nbehaviour: { link: "https://relay.test/" }' });
  await relay.spam();
  await expect.poll(() => relay.noticesTo('op@operator.test'), { timeout: 20_000 }).toHaveLength(1);
  const path = /https:\/\/relay\.test(\/release\/[\w-]+)/.exec(relay.noticesTo('op@operator.test')[0]!)?.[1];
  const ask = (method: string) => fetch(`http://127.0.0.1:${relay.ports.admin}${path}`, { method });
  expect(await (await ask('GET')).text()).toContain(USER);
  expect(await relay.stops()).toMatchObject([{ state: 'held' }]);
  expect((await ask('POST')).status).toBe(200);
  expect((await relay.stops()).filter(({ state }) => state === 'held')).toEqual([]);
  expect((await ask('POST')).status).toBe(404);
});
