/** The watch over all logins, on a store in memory and a clock of its own: what it lets leave, keeps back, forgets and remembers. */
import { expect, onTestFinished, test } from 'vitest';
import { createControl } from '../../../../src/control/control.ts';
import { Behaviour, type BehaviourNews, type BehaviourSettings, type Stop } from '../../../../src/policy/policy.ts';
import type { Outcome } from '../../../../src/smtp/outcome.ts';
import type { Claim, NewMessage, Store } from '../../../../src/store/store.ts';
import { DAY, HOUR, MINUTE, SECOND } from '../../../../src/system/clock.ts';
import { credentialWith } from '../../../support/credential.ts';
import { createMemoryData } from '../../../support/memory-data.ts';
import { newMessage } from '../../../support/store-rig.ts';
import { DEFAULT_POINTS, DEFAULT_THRESHOLDS } from './defaults.ts';

const SETTINGS: BehaviourSettings = {
  ...{ mode: 'hold', points: DEFAULT_POINTS },
  thresholds: { person: DEFAULT_THRESHOLDS.person, server: DEFAULT_THRESHOLDS.server },
};
const RELAYED: Outcome = { kind: 'relayed', reply: { code: 250, status: '2.0.0', text: 'Ok' }, dsnPassedOn: false, seconds: 0 };
const failed = (found: string) =>
  ({
    ...{ kind: 'failed', seconds: 0, reply: { code: 550, status: '5.1.1', text: 'No' } },
    judged: { class: found, action: found === 'content-spam' ? 'fail+strike' : 'fail', phase: 'rcpt', rules: '1' },
  }) as unknown as Outcome;
const UNKNOWN = failed('no-such-user');

type Sent = { readonly from?: string; readonly ip?: string; readonly authors?: readonly string[]; readonly daily?: number };

async function watch({
  mailServer = false,
  settings = SETTINGS,
  data = createMemoryData(),
  clock = { now: Date.UTC(2026, 5, 1) },
} = {}) {
  const store: Store = data.client();
  await store.credentials.add(credentialWith({ name: 'shop', hash: '', mailServer, createdAt: 1 }));
  const stops: Stop[] = [];
  const news: BehaviourNews[] = [];
  const now = () => clock.now;
  const behaviour = await Behaviour.start({
    ...{ store, log: () => {}, settings: () => settings, now },
    onStop: (stop) => stops.push(stop),
    onNotice: (one) => news.push(one),
  });
  onTestFinished(() => behaviour.close());
  const control = createControl({
    store,
    settings: () => ({ limits: { messages: [], recipients: [], newRecipients: [] } }) as never,
    dns: {} as never,
    now,
    by: { name: 'anna', way: 'command' },
  });
  let tries = 0;
  const claimOf = (message: NewMessage, heldBy?: string): Claim => {
    const recipients = message.recipients.map((one, n) => ({
      ...{ ...one, n, state: 'active' as const, attempts: 0, nextAttemptAt: null, lastReply: null, delayReported: false },
      ...(heldBy === undefined ? {} : { heldBy }),
    }));
    return { lease: `p#${++tries}`, message, recipients, content: message.content };
  };
  const deliver = (message: NewMessage, outcome: Outcome, heldBy?: string) =>
    behaviour.deliver(
      async (claim) => claim.recipients.map(() => outcome),
      claimOf(message, heldBy),
      new AbortController().signal,
    );
  /** Accepts and delivers a message to one recipient. @returns what became of it. */
  const send = async (
    to: string,
    outcome: Outcome = RELAYED,
    { from = 'a@shop.example', ip = '192.0.2.1', ...rest }: Sent = {},
  ) => {
    const origin = { ip, tls: null, mechanism: 'PLAIN' };
    const message = newMessage({ user: 'shop', reversePath: from, to: [to], acceptedAt: clock.now, origin } as never);
    const refused = behaviour.refuses(message, rest.daily);
    if (refused !== undefined) return `${refused.code} ${refused.status}`;
    behaviour.accepted(message.id, message, { mailServer, authors: rest.authors ?? [from], automatic: false });
    const [end] = await deliver(message, outcome);
    await settled();
    return end!.kind === 'returned' && end!.heldBy !== undefined ? 'held' : end!.kind;
  };
  return { behaviour, control, store, data, clock, stops, news, send, deliver, claimOf };
}

/** What a store in memory answers has arrived. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

/** A quarter unknown: held at the 25th. */
async function spam({ send, clock }: Awaited<ReturnType<typeof watch>>, sent: Sent = {}, most = 200): Promise<number> {
  for (let n = 0; n < most; n++) {
    clock.now += SECOND;
    if ((await send(`r${n}@d${n % 50}.example`, n % 4 === 3 ? UNKNOWN : RELAYED, sent)) === 'held') return n;
  }
  return most;
}

test('A stolen login is held before 300 messages have left, told once at that moment, and nothing leaves afterwards', async () => {
  const w = await watch();
  expect(await spam(w)).toBeLessThan(300);
  expect(w.stops).toHaveLength(1);
  expect(w.clock.now - w.stops[0]!.since).toBeLessThanOrEqual(MINUTE);
  for (let n = 0; n < 100; n++) expect(await w.send(`late${n}@x.example`)).toBe('held');
  expect(w.stops).toHaveLength(1);
  expect(w.stops[0]).toMatchObject({ user: 'shop', sender: '', firstSource: '192.0.2.1', disabled: false, quiet: false });
});

test('An attempt under way when the stop comes is broken off, and its mail is held', async () => {
  const w = await watch();
  for (let n = 0; n < 36; n++) await w.send(`u${n}@x.example`, n % 6 === 5 ? UNKNOWN : RELAYED);
  const message = newMessage({ user: 'shop', reversePath: 'a@shop.example', to: ['b@x.example'] });
  const slow = w.behaviour.deliver(
    (_, signal) =>
      new Promise((resolve) =>
        signal.addEventListener('abort', () =>
          resolve([{ kind: 'returned', reply: { code: 451, status: '4.3.2', text: 'stopped' }, seconds: 0 }]),
        ),
      ),
    w.claimOf(message),
    new AbortController().signal,
  );
  await spam(w);
  expect(await slow).toMatchObject([{ kind: 'returned', heldBy: { provider: 'login:shop' } }]);
});

test('A login with four points sends one message in 5 s, and nothing of it is refused', async () => {
  const w = await watch();
  for (let n = 0; n < 41; n++) await w.send(`r${n}@x.example`, n % 5 < 2 ? UNKNOWN : RELAYED);
  expect(w.stops).toEqual([]);
  const at = w.clock.now;
  const message = (n: number) =>
    newMessage({ id: `m${n}`, user: 'shop', reversePath: 'a@shop.example', to: [`s${n}@x.example`] });
  const messages = Array.from({ length: 5 }, (_, n) => message(n));
  const ends = await Promise.all(messages.map((one) => w.deliver(one, RELAYED)));
  expect(ends.map(([end]) => (end!.kind === 'returned' ? end!.notBefore! - at : end!.kind))).toEqual([
    'relayed',
    5 * SECOND,
    10 * SECOND,
    15 * SECOND,
    20 * SECOND,
  ]);
  w.clock.now += 10 * SECOND;
  expect((await w.deliver(messages[1]!, RELAYED))[0]!.kind).toBe('relayed');
  expect((await w.deliver(messages[4]!, RELAYED))[0]!.kind).toBe('returned');
  w.clock.now += 2 * HOUR;
  await w.behaviour.look();
  expect((await w.deliver(messages[4]!, RELAYED))[0]!.kind).toBe('relayed');
});

test('Of a mail server only the sender is held, also where it is refused: with 450', async () => {
  const w = await watch({ mailServer: true });
  const news = { from: 'News@shop.example' };
  await spam(w, news, 600);
  expect(w.stops).toMatchObject([{ user: 'shop', sender: 'news@shop.example', profile: 'server' }]);
  expect(await w.send('b@x.example', RELAYED, { from: 'anna@shop.example' })).toBe('relayed');
  await w.control.behaviour.hold('shop', { sender: 'news@shop.example', refuse: true });
  await w.behaviour.follow();
  expect(await w.send('b@x.example', RELAYED, news)).toBe('450 4.7.1');
  expect(await w.send('b@x.example', RELAYED, { from: 'anna@shop.example' })).toBe('relayed');
});

test('A login that an operator refuses gets 550, and one that holds two daily limits 450', async () => {
  const w = await watch();
  await w.control.behaviour.hold('shop', {});
  await w.behaviour.follow();
  for (let n = 0; n < 20; n++) expect(await w.send(`r${n}@x.example`, RELAYED, { daily: 10 })).toBe('held');
  expect(await w.send('r@x.example', RELAYED, { daily: 10 })).toBe('450 4.7.1');
  expect(await w.send('r@x.example', RELAYED)).toBe('held');
  await w.control.behaviour.hold('shop', { refuse: true });
  await w.behaviour.follow();
  expect(await w.send('r@x.example')).toBe('550 5.7.1');
});

test('What was counted survives a restart, and so does a stop', async () => {
  const first = await watch();
  for (let n = 0; n < 80; n++) await first.send(`r${n}@x.example`, n % 4 === 3 ? UNKNOWN : RELAYED);
  await first.behaviour.close();
  const second = await watch({ data: first.data, clock: first.clock });
  expect(await spam(second)).toBeLessThan(30);
  await second.behaviour.close();
  const third = await watch({ data: first.data, clock: first.clock });
  expect(await third.send('r@x.example')).toBe('held');
});

test('A relay obeys the stop of another one on the same store', async () => {
  const one = await watch();
  const two = await watch({ data: one.data, clock: one.clock });
  await spam(one);
  await two.behaviour.follow();
  expect(await two.send('r@x.example')).toBe('held');
  expect(two.stops).toEqual([]);
});

test('A release sends 50 recipients in the first hour, and twice as many in the next; a second stop in a week has no link', async () => {
  const w = await watch();
  await spam(w);
  const { messages } = w.store;
  const heldBy = 'login:shop';
  for (let n = 0; n < 300; n++) {
    const message = newMessage({ user: 'shop', to: ['b@x.example'], acceptedAt: w.clock.now });
    await messages.accept({ message, claim: { indexes: [0], lease: 'p#1' } });
    const change = { n: 0, state: 'queued', nextAttemptAt: w.clock.now + DAY, heldBy } as const;
    await messages.settle({ messageId: message.id, lease: 'p#1', at: w.clock.now, changes: [change] });
  }
  expect(await w.control.behaviour.release('shop', {})).toMatchObject({ state: 'releasing' });
  const left = async () => (await messages.heldByProvider())[0]?.recipients ?? 0;
  const hour = async () => {
    const before = await left();
    for (let n = 0; n < 60; n++) {
      w.clock.now += MINUTE;
      await w.behaviour.follow();
    }
    return before - (await left());
  };
  expect(await hour()).toBeLessThanOrEqual(61);
  expect(await hour()).toBeGreaterThanOrEqual(100);
  const old = newMessage({ user: 'shop', to: ['b@x.example'] });
  expect((await w.deliver(old, RELAYED, heldBy))[0]!.kind).toBe('returned');
  expect((await w.deliver(old, RELAYED))[0]!.kind).toBe('relayed');
  for (let n = 0; n < 3; n++) await hour();
  expect(await left()).toBe(0);
  expect((await w.control.users.show('shop')).stops).toEqual([]);
  expect((await w.control.users.show('shop')).trustedUntil).not.toBeNull();
  await spam(w, {}, 400);
  expect(w.stops.map(({ again }) => again)).toEqual([undefined, true]);
});

test('A link releases once, within a day', async () => {
  const { createHash } = await import('node:crypto');
  const w = await watch();
  await spam(w);
  await w.behaviour.setLink(w.stops[0]!, createHash('sha256').update('token').digest('hex'), w.clock.now + DAY);
  expect(await w.control.behaviour.linked('other')).toBeUndefined();
  expect(await w.control.behaviour.linked('token')).toEqual({ name: 'shop', sender: null });
  w.clock.now += DAY + 1;
  expect(await w.control.behaviour.releaseByLink('token')).toBeUndefined();
  w.clock.now -= HOUR;
  const both = await Promise.all([w.control.behaviour.releaseByLink('token'), w.control.behaviour.releaseByLink('token')]);
  expect(both.filter((one) => one !== undefined)).toMatchObject([{ state: 'releasing' }]);
  expect(await w.control.behaviour.releaseByLink('token')).toBeUndefined();
});

test('Refusals as spam from many places at once disable a login, and never that of a mail server', async () => {
  for (const mailServer of [false, true]) {
    const w = await watch({ mailServer });
    for (let n = 0; n < 30 && w.stops.length === 0; n++)
      await w.send(`r@d${n}.example`, n % 4 === 0 ? failed('content-spam') : RELAYED, { ip: `198.51.${n}.1` });
    await expect.poll(() => w.stops).toMatchObject([{ disabled: !mailServer, quiet: true }]);
    expect((await w.store.credentials.get('shop'))?.disabled).toBe(!mailServer);
  }
});

test('A block counts for the login that sends most of the mail', async () => {
  const w = await watch();
  for (let n = 0; n < 10; n++) await w.send(`r${n}@x.example`);
  w.behaviour.blocked('outlook');
  expect(w.news).toEqual([]);
  w.behaviour.blocked('gmail');
  expect(w.news).toMatchObject([{ user: 'shop', verdict: { signals: [{ name: 'blocks', value: 2 }] } }]);
});

test('Of ten thousand deferrals, full boxes and refusals of our address nothing is noticed', async () => {
  const w = await watch();
  const deferred: Outcome = { kind: 'delayed', reply: { code: 450, status: '4.2.0', text: 'Greylisted' }, seconds: 0 };
  const ends = [deferred, failed('mailbox-full'), failed('address-blocked'), failed('rate'), failed('ptr-helo')];
  const message = newMessage({ user: 'shop', to: ['b@x.example'] });
  for (let n = 0; n < 10_000; n++) await w.deliver(message, ends[n % ends.length]!);
  expect([w.stops, w.news]).toEqual([[], []]);
});

test('A login that is not watched is not counted', async () => {
  const w = await watch({ settings: { ...SETTINGS, mode: 'off' } });
  expect(await spam(w)).toBe(200);
  await w.behaviour.close();
  expect(await w.store.behaviour.record('shop', '')).toBeUndefined();
});

test('A mail server is never held as a whole: signals of its login count for the sender that has signals of its own', async () => {
  const w = await watch({ mailServer: true });
  for (let n = 0; n < 12; n++)
    await w.send(`r${n}@x.example`, RELAYED, { from: n < 8 ? 'a@shop.example' : 'b@shop.example', ip: `192.0.2.${n}` });
  for (const provider of ['outlook', 'gmail']) w.behaviour.blocked(provider);
  await w.behaviour.look();
  expect(w.stops.map(({ sender }) => sender)).toEqual(['a@shop.example']);
  expect(await w.send('r@x.example', RELAYED, { from: 'b@shop.example' })).toBe('relayed');
});

test('A stop of an operator holds in each mode, and the stricter of two counts', async () => {
  const w = await watch({ settings: { ...SETTINGS, mode: 'off' } });
  await w.control.behaviour.hold('shop', {});
  await w.control.behaviour.hold('shop', { sender: 'a@shop.example' });
  await w.behaviour.follow();
  expect(await w.send('r@x.example')).toBe('held');
  await w.control.behaviour.release('shop', { sender: 'a@shop.example' });
  await w.behaviour.follow();
  expect(await w.send('r@x.example')).toBe('held');
  await w.control.behaviour.release('shop', { discard: true });
  await w.behaviour.follow();
  expect(await w.send('r@x.example')).toBe('relayed');
});

test('Complaints that a command has read count once each', async () => {
  const w = await watch();
  const hear = async (name: string) => {
    const value = JSON.stringify({ user: 'shop', reversePath: 'a@shop.example', at: w.clock.now });
    await w.store.operation.keepValue(`behaviour.complaint.${name}`, value);
    await w.behaviour.follow();
    await settled();
    return w.news.length;
  };
  expect(await hear('one')).toBe(0);
  expect(await hear('one')).toBe(0);
  expect(await hear('two')).toBe(1);
  expect(w.news).toMatchObject([{ user: 'shop', verdict: { signals: [{ name: 'complaints', value: 2 }] } }]);
});
