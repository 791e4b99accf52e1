/** Accepting: group commit, what is kept, and limits. */

import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import type { Limit } from '../../../src/smtp/limit.ts';
import type { AcceptResult, KnownRecipient, NewMessage, Store } from '../../../src/store/store.ts';
import { DAY, HOUR, MINUTE } from '../../../src/system/clock.ts';
import { asLeader } from '../../support/led.ts';
import {
  bytesOf,
  dataDir,
  inline,
  LEASE,
  NOW,
  newMessage,
  put,
  statesOf,
  testStore,
  wholeContent,
} from '../../support/store-rig.ts';

test('messages that arrive together share a commit', async () => {
  let commits = 0;
  let requests = 0;
  const onCommit = (seconds: number, count: number) => {
    expect(seconds).toBeGreaterThan(0);
    commits++;
    requests += count;
  };
  const store = await testStore({ onCommit });
  await Promise.all(Array.from({ length: 500 }, () => put(store)));
  expect(requests).toBe(500);
  expect(commits).toBeLessThan(20);
  expect((await store.messages.list({ limit: 1000 })).length).toBe(500);
});

test('a request that fails leaves the others of its group standing', async () => {
  const store = await testStore();
  const messages = Array.from({ length: 20 }, () => newMessage({ to: ['a@x.example', 'b@y.example'] }));
  const twice = newMessage({ id: messages[3]?.id ?? '' });
  const results = await Promise.allSettled([...messages, twice].map((message) => put(store, message)));
  expect(results.map(({ status }) => status)).toEqual([...messages.map(() => 'fulfilled'), 'rejected']);
  expect((await store.messages.counts()).states).toEqual({ queued: 40 });
  expect(await wholeContent(await store.messages.content(messages[3]?.id ?? ''))).toHaveLength(200);
});

test('an accepted message is kept unchanged, also across a restart', async () => {
  const path = dataDir();
  const bytes = new Uint8Array(randomBytes(100_000));
  const copy = Buffer.from(bytes);
  const message: NewMessage = {
    ...newMessage({ content: inline(bytes), size: 100_000 }),
    body: '8BITMIME',
    needsSmtpUtf8: true,
    ret: 'HDRS',
    envid: 'QQ+2B1',
    signatures: ['s1._domainkey.example.org', 's2._domainkey.example.org'],
    about: 'someid',
    recipients: [
      {
        address: 'Bob@example.net',
        destination: 'route:smtp.example.com',
        notify: ['SUCCESS', 'DELAY'],
        orcpt: 'rfc822;x+2By@z',
      },
      { address: 'jörg@example.net', destination: 'example.net', notify: [] },
    ],
  };
  const store = await testStore({ dataDir: path });
  await put(store, message);
  await store.close();
  const again = await testStore({ dataDir: path });
  const { recipients, content: _, ...facts } = message;
  const fresh = { state: 'queued', attempts: 0, nextAttemptAt: NOW, lastReply: null, delayReported: false, trace: [] };
  expect(await again.messages.get(message.id)).toEqual({
    ...facts,
    recipients: recipients.map((recipient, n) => ({ ...recipient, ...fresh, n })),
  });
  expect(await wholeContent(await again.messages.content(message.id))).toEqual(copy);
});

test('the bytes come back without a copy, and recipients claimed at once are not due', async () => {
  const store = await testStore();
  const message = newMessage({ to: ['a@x.example', 'b@y.example'], content: inline(bytesOf('Subject: x\r\n\r\nx\r\n')) });
  const result = await store.messages.accept({ message, claim: { indexes: [0], lease: LEASE } });
  expect(result.accepted && result.content.kind === 'inline' && Buffer.from(result.content.bytes).toString()).toBe(
    'Subject: x\r\n\r\nx\r\n',
  );
  expect(message.content.kind === 'inline' && message.content.bytes.byteLength).toBe(0);
  expect(await statesOf(store, message.id)).toEqual(['active', 'queued']);
  expect((await store.messages.due(NOW, 10)).due.map(({ destination }) => destination)).toEqual(['y.example']);
});

test('a slice of shared memory is copied, its neighbours stay', async () => {
  const store = await testStore();
  const pool = bytesOf('neighbourMESSAGEneighbour');
  const message = newMessage({ content: inline(pool.subarray(9, 16)) });
  await put(store, message);
  expect(Buffer.from(pool).toString()).toBe('neighbourMESSAGEneighbour');
  expect((await wholeContent(await store.messages.content(message.id)))?.toString()).toBe('MESSAGE');
});

const limit = (kind: Limit['kind'], count: number, per: Limit['per']): Limit => ({ kind, count, per });
type Change = { at?: number; to?: string[]; user?: string; over?: 'refuse' | 'hold'; maxHeld?: number };
function acceptWith(
  store: Store,
  list: readonly Limit[],
  { at = NOW, to, user = 'alice', over = 'refuse', maxHeld }: Change = {},
) {
  const message = newMessage({ acceptedAt: at, ...(to === undefined ? {} : { to }) });
  return store.messages.accept({
    message,
    claim: { indexes: [0], lease: LEASE },
    limits: { user, list, over, ...(maxHeld === undefined ? {} : { maxHeld }) },
  });
}
const accepted = (results: readonly AcceptResult[]) => results.filter((result) => result.accepted).length;

test('a limit is exact under concurrency and across a restart', async () => {
  const path = dataDir();
  const list = [limit('messages', 30, 'day')];
  const store = await testStore({ dataDir: path });
  const first = await Promise.all(Array.from({ length: 20 }, () => acceptWith(store, list)));
  await store.close();
  const again = await testStore({ dataDir: path });
  const second = await Promise.all(Array.from({ length: 50 }, () => acceptWith(again, list, { at: NOW + MINUTE })));
  expect([accepted(first), accepted(second)]).toEqual([20, 10]);
  expect(second.at(-1)).toMatchObject({ accepted: false, exceeded: { limit: list[0], used: 30, resetsAt: NOW + DAY } });
  expect((await again.messages.list({ limit: 100 })).length).toBe(30);
});

test('a limit is exact between two that share the store', async () => {
  const path = dataDir();
  const list = [limit('messages', 25, 'day')];
  const stores = await Promise.all([testStore({ dataDir: path }), testStore({ dataDir: path })]);
  const results = await Promise.all(Array.from({ length: 60 }, (_, i) => acceptWith(stores[i % 2] as Store, list)));
  expect(accepted(results)).toBe(25);
});

test('a window begins with the first message after the last one ended', async () => {
  const store = await testStore();
  const list = [limit('messages', 1, 'hour')];
  const at = async (time: number) => (await acceptWith(store, list, { at: time })).accepted;
  expect(await at(NOW)).toBe(true);
  expect(await at(NOW + HOUR - 1)).toBe(false);
  expect(await at(NOW + HOUR + 10 * MINUTE)).toBe(true);
  expect(await at(NOW + 2 * HOUR)).toBe(false);
  expect(await store.messages.limitUse('ALICE', list, NOW + 2 * HOUR)).toEqual([
    { limit: list[0], used: 1, resetsAt: NOW + 2 * HOUR + 10 * MINUTE },
  ]);
});

test('a clock that is set back does not freeze a user', async () => {
  const store = await testStore();
  const list = [limit('messages', 1, 'day')];
  expect((await acceptWith(store, list, { at: NOW + 365 * DAY })).accepted).toBe(true);
  expect((await acceptWith(store, list, { at: NOW })).accepted).toBe(true);
  expect((await acceptWith(store, list, { at: NOW + 1 })).accepted).toBe(false);
});

test('a message over one limit is counted by none, as a whole', async () => {
  const store = await testStore();
  const list = [limit('messages', 10, 'minute'), limit('recipients', 3, 'day'), limit('newRecipients', 10, 'day')];
  const four = ['a@x.example', 'b@x.example', 'c@x.example', 'd@x.example'];
  expect(await acceptWith(store, list, { to: four })).toMatchObject({
    accepted: false,
    exceeded: { limit: { kind: 'recipients' }, used: 0 },
  });
  expect(await store.messages.knownRecipients('alice', four)).toEqual([]);
  expect((await store.messages.limitUse('alice', list, NOW)).map(({ used }) => used)).toEqual([0, 0, 0]);
  const three = await acceptWith(store, list, { to: four.slice(1) });
  expect(three.accepted && three.use.map(({ used }) => used)).toEqual([1, 3, 3]);
});

test('only recipients that the user has not sent to are new, in any case of letters', async () => {
  const store = await testStore();
  const list = [limit('newRecipients', 2, 'day')];
  expect((await acceptWith(store, list, { to: ['bob@x.example', 'Bob@X.example'] })).accepted).toBe(true);
  expect((await acceptWith(store, list, { to: ['BOB@x.example', 'carol@x.example'] })).accepted).toBe(true);
  expect((await acceptWith(store, list, { to: ['dave@x.example'] })).accepted).toBe(false);
  expect((await acceptWith(store, list, { to: ['carol@x.example'] })).accepted).toBe(true);
  expect((await acceptWith(store, list, { to: ['dave@x.example'], user: 'other' })).accepted).toBe(true);
  expect(await store.messages.knownRecipients('Alice', ['dave@x.example', 'carol@x.example'])).toEqual(['carol@x.example']);
});

/** All steps of one walk; how many were forgotten. */
async function forget(store: Store, now: number): Promise<number> {
  let forgotten = 0;
  for (let after: KnownRecipient | null = null; ; ) {
    const step: { forgotten: number; after: KnownRecipient | null } = await asLeader(store.messages).forgetRecipients(now, after);
    forgotten += step.forgotten;
    if ((after = step.after) === null) return forgotten;
  }
}

test('recipients that a user has not written to for 400 days are forgotten, those that are still written to stay known', async () => {
  const store = await testStore();
  const list = [limit('newRecipients', 10_000, 'day')];
  const many = Array.from({ length: 4500 }, (_, i) => `once${i}@x.example`);
  await acceptWith(store, list, { to: [...many, 'weekly@x.example', 'yearly@x.example'] });
  for (let day = 3; day < 480; day += 3) await acceptWith(store, list, { to: ['weekly@x.example'], at: NOW + day * DAY });
  await acceptWith(store, list, { to: ['YEARLY@x.example'], at: NOW + 366 * DAY });
  expect(await forget(store, NOW + 400 * DAY)).toBe(0);
  expect(await forget(store, NOW + 480 * DAY)).toBe(many.length);
  const asked = ['once7@x.example', 'weekly@x.example', 'yearly@x.example'];
  expect(await store.messages.knownRecipients('alice', asked)).toEqual(asked.slice(1));
  expect(await forget(store, NOW + 800 * DAY)).toBe(1);
  expect(await store.messages.knownRecipients('alice', asked)).toEqual(['weekly@x.example']);
});

test('a recipient counts from the day of its last message also if the clock was set back', async () => {
  const store = await testStore();
  const list = [limit('newRecipients', 10, 'day')];
  await acceptWith(store, list, { to: ['bob@x.example'], at: NOW + 4000 * DAY });
  await acceptWith(store, list, { to: ['bob@x.example'], at: NOW });
  expect(await forget(store, NOW + 409 * DAY)).toBe(1);
});

const waitingOf = async (store: Store) =>
  (await store.messages.list({ states: ['held'], limit: 100 })).flatMap(({ recipients }) =>
    recipients.map(({ address }) => address),
  );
const releasedOf = async (store: Store, list: readonly Limit[], now: number) =>
  (await store.messages.releaseOverLimit({ user: 'alice', list, now })).released.map(({ recipient }) => recipient);

test('a message over a limit is held with the reason and not counted, and later mail waits behind it', async () => {
  const store = await testStore();
  const list = [limit('recipients', 2, 'day')];
  const hold = (to: string[], maxHeld = 3) => acceptWith(store, list, { over: 'hold', to, maxHeld });
  expect(await hold(['a@x.test'])).toMatchObject({ accepted: true, held: false });
  const exceeded = { limit: list[0], used: 1 };
  expect(await hold(['b@x.test', 'c@x.test'])).toMatchObject({ accepted: true, held: true, exceeded, use: [{ used: 1 }] });
  expect(await hold(['d@x.test'])).toMatchObject({ accepted: true, held: true, use: [{ used: 1 }] });
  expect((await store.messages.counts()).states).toEqual({ active: 1, held: 3 });
  expect((await store.messages.due(NOW, 10)).due).toEqual([]);
  const reasons = (await store.messages.list({ states: ['held'] })).map(({ recipients }) => recipients[0]!.lastReply);
  expect(reasons).toEqual([
    '450 4.7.1 Held over the limit of 2 recipients per day',
    '450 4.7.1 Held behind mail that is over a limit',
  ]);
  expect(await hold(['e@x.test'], 2)).toMatchObject({ accepted: false, exceeded });
  expect(await store.messages.overLimit(NOW)).toEqual({ users: ['alice'], expired: [] });
});

test('held mail leaves in its order as the limits allow, and a message that is larger than the limit stops no other', async () => {
  const store = await testStore();
  const list = [limit('recipients', 2, 'day')];
  const hold = (...to: string[]) => acceptWith(store, list, { over: 'hold', to, maxHeld: 100 });
  await hold('a@x.test', 'b@x.test');
  await hold('1@x.test', '2@x.test', '3@x.test');
  for (const to of ['c@x.test', 'd@x.test', 'e@x.test']) await hold(to);
  expect(await releasedOf(store, list, NOW)).toEqual([]);
  expect(await releasedOf(store, list, NOW + DAY)).toEqual(['c@x.test', 'd@x.test']);
  expect((await store.messages.due(NOW + DAY, 10)).due).toMatchObject([{ destination: 'x.test' }]);
  expect(await releasedOf(store, list, NOW + DAY)).toEqual([]);
  expect(await releasedOf(store, list, NOW + 2 * DAY)).toEqual(['e@x.test']);
  expect(await waitingOf(store)).toEqual(['1@x.test', '2@x.test', '3@x.test']);
  expect(await releasedOf(store, [], NOW + 2 * DAY)).toEqual(['1@x.test', '2@x.test', '3@x.test']);
  expect((await store.messages.overLimit(NOW)).users).toEqual([]);
});

test('the limits no longer decide about mail that an operator holds, releases or removes', async () => {
  const store = await testStore();
  const list = [limit('messages', 1, 'day')];
  for (const to of ['a', 'b', 'c', 'd', 'e']) await acceptWith(store, list, { over: 'hold', to: [`${to}@x.test`], maxHeld: 9 });
  const [b, c, d] = (await store.messages.list({ states: ['held'] })).map(({ id }) => id);
  await store.messages.hold({ ids: [b!] }, NOW);
  await store.messages.release({ ids: [c!] }, NOW);
  await store.messages.remove({ ids: [d!] }, NOW);
  expect(await releasedOf(store, [], NOW)).toEqual(['e@x.test']);
  expect(await waitingOf(store)).toEqual(['b@x.test']);
});

test('mail that is held over a limit until its lifetime ends is named, with its sender and recipients', async () => {
  const store = await testStore();
  const list = [limit('messages', 1, 'day')];
  for (const to of ['a', 'b']) await acceptWith(store, list, { over: 'hold', to: [`${to}@x.test`], maxHeld: 9 });
  const end = NOW + 432_000_000;
  expect((await store.messages.overLimit(end - 1)).expired).toEqual([]);
  expect((await store.messages.overLimit(end)).expired).toMatchObject([
    { reversePath: 'alice@example.org', recipients: [{ address: 'b@x.test', n: 0, state: 'held' }] },
  ]);
});

test('the login of a message is looked at in the transaction that would store it: nothing is stored or counted without it', async () => {
  const store = await testStore();
  const list: Limit[] = [{ kind: 'messages', count: 10, per: 'day' }];
  const rights = { senders: ['*'], mailServer: false, limits: list, disabled: false, rewrite: null, createdAt: NOW };
  await store.credentials.add({ ...rights, name: 'Alice', hash: 'one', expiresAt: null });
  const grant = (await store.credentials.get('alice'))!;
  const accept = async (held = grant) => {
    const message = newMessage({ user: 'Alice' });
    const content = wholeContent(message.content);
    const limits = { user: 'Alice', list, over: 'refuse' as const };
    const result = await store.messages.accept({ message, claim: { indexes: [0], lease: LEASE }, grant: held, limits });
    if (!('denied' in result)) return result.accepted;
    expect(await wholeContent(result.content)).toEqual(await content);
    return result.denied;
  };
  expect(await accept()).toBe(true);
  await store.credentials.update('alice', { senders: ['alice@example.org'] });
  expect(await accept()).toBe('changed');
  const changed = (await store.credentials.get('alice'))!;
  expect(await accept(changed)).toBe(true);
  await store.credentials.update('alice', { disabled: true });
  expect(await accept(changed)).toBe('ended');
  await store.credentials.update('alice', { disabled: false, expiresAt: NOW });
  expect(await accept((await store.credentials.get('alice'))!)).toBe('ended');
  await store.credentials.update('alice', { hash: 'two', expiresAt: null });
  expect(await accept(changed)).toBe('ended');
  await store.credentials.remove('alice');
  expect(await accept(changed)).toBe('ended');
  expect((await store.messages.list({})).length).toBe(2);
});
