/** What an operator does to the queue, and what it shows. */
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, test } from 'vitest';
import type { MessageFacts, Store } from '../../../src/store/store.ts';
import { DAY, MINUTE } from '../../../src/system/clock.ts';
import { asLeader } from '../../support/led.ts';
import { dataDir, delay, LEASE, NOW, newMessage, put, relay, statesOf, testStore } from '../../support/store-rig.ts';

const LATER = NOW + 10 * MINUTE;

/** One message with recipients that are queued, delayed, active and ended, at two domains. */
async function mixed(store: Store): Promise<string> {
  const to = ['queued@x.example', 'delayed@y.example', 'active@x.example', 'done@x.example'];
  const { id } = await put(store, newMessage({ to }), { claim: [1, 2, 3] });
  await delay(store, id, LATER, 1);
  await relay(store, id, 3);
  return id;
}

test('retry makes waiting mail due now, and changes nothing else', async () => {
  const store = await testStore();
  const id = await mixed(store);
  const touched = await store.messages.retry({ ids: [id] }, NOW + 1);
  expect(touched.map(({ recipient, state }) => [recipient, state])).toEqual([
    ['queued@x.example', 'queued'],
    ['delayed@y.example', 'delayed'],
  ]);
  expect((await store.messages.due(NOW + 1, 10)).due.map(({ destination }) => destination).sort()).toEqual([
    'x.example',
    'y.example',
  ]);
});

test('hold leaves active recipients alone, release makes held ones due', async () => {
  const store = await testStore();
  const id = await mixed(store);
  await store.messages.hold({ all: true }, NOW);
  expect(await statesOf(store, id)).toEqual(['held', 'held', 'active', 'relayed']);
  expect((await store.messages.due(LATER, 10)).due).toEqual([]);
  expect(await store.messages.retry({ all: true }, NOW)).toEqual([]);
  expect(await store.messages.release({ domain: 'Y.example' }, LATER)).toEqual([
    { id, recipient: 'delayed@y.example', state: 'delayed' },
  ]);
  await store.messages.release({ ids: [id] }, LATER);
  expect(await statesOf(store, id)).toEqual(['queued', 'delayed', 'active', 'relayed']);
  expect((await store.messages.due(LATER, 10)).due).toHaveLength(2);
});

test('remove ends all that has not ended, by domain or at all', async () => {
  const store = await testStore();
  const id = await mixed(store);
  expect(await store.messages.remove({ domain: 'x.example' }, NOW)).toHaveLength(2);
  expect(await statesOf(store, id)).toEqual(['removed', 'delayed', 'removed', 'relayed']);
  expect(await store.messages.remove({ all: true }, NOW)).toHaveLength(1);
  expect(await store.messages.content(id)).toBeUndefined();
  expect((await store.messages.counts()).states).toEqual({});
});

test('a domain means that domain, not one that ends like it', async () => {
  const store = await testStore();
  await put(store, newMessage({ to: ['a@example.net', 'b@notexample.net', 'c@sub.example.net'] }));
  expect((await store.messages.hold({ domain: 'example.net' }, NOW)).map(({ recipient }) => recipient)).toEqual([
    'a@example.net',
  ]);
});

test('an empty selection selects nothing, and so does an unknown id', async () => {
  const store = await testStore();
  const id = await mixed(store);
  expect(await store.messages.remove({}, NOW)).toEqual([]);
  expect(await store.messages.remove({ all: false }, NOW)).toEqual([]);
  expect(await store.messages.remove({ ids: ['nothere', id, 'nothere'], domain: 'y.example' }, NOW)).toHaveLength(1);
});

test('a command over thousands of recipients reaches each of them once', async () => {
  const store = await testStore();
  const to = Array.from({ length: 300 }, (_, i) => `u${i}@x.example`);
  const messages = await Promise.all(Array.from({ length: 12 }, () => put(store, newMessage({ to }))));
  expect(await store.messages.hold({ all: true }, NOW)).toHaveLength(3600);
  expect((await store.messages.counts()).states).toEqual({ held: 3600 });
  const ids = messages.map(({ id }) => id);
  expect(await store.messages.release({ ids }, NOW)).toHaveLength(3600);
  const touched = await store.messages.remove({ all: true }, NOW);
  expect(new Set(touched.map(({ id, recipient }) => `${id} ${recipient}`)).size).toBe(3600);
});

test('queued mail follows a changed route', async () => {
  const store = await testStore();
  const id = await mixed(store);
  await store.messages.hold({ domain: 'y.example' }, NOW);
  const choose = (message: MessageFacts, address: string) => `route:${message.user}:${address.startsWith('queued')}`;
  const touched = await store.messages.reroute({ all: true }, NOW + 1, choose);
  expect(touched.map(({ recipient, state }) => [recipient, state])).toEqual([
    ['queued@x.example', 'queued'],
    ['delayed@y.example', 'held'],
  ]);
  expect((await store.messages.get(id))?.recipients.map(({ destination }) => destination)).toEqual([
    'route:alice@example.org:true',
    'route:alice@example.org:false',
    'x.example',
    'x.example',
  ]);
  expect((await store.messages.due(NOW + 1, 10)).due).toEqual([
    { destination: 'route:alice@example.org:true', nextAttemptAt: NOW + 1 },
  ]);
});

test('the list pages by id and filters by state, domain and user', async () => {
  const store = await testStore();
  const ids: string[] = [];
  for (let i = 0; i < 25; i++) {
    const { id } = await put(store, newMessage({ to: [`a@d${i % 5}.example`], user: i % 2 === 0 ? 'Even' : 'odd' }), {
      claim: [0],
    });
    ids.push(id);
    if (i >= 20) await relay(store, id);
  }
  const names = (list: readonly { id: string }[]) => list.map(({ id }) => id);
  const first = await store.messages.list({ limit: 15 });
  expect(names(first)).toEqual(ids.slice(0, 15));
  expect(names(await store.messages.list({ limit: 15, after: first.at(-1)?.id ?? '' }))).toEqual(ids.slice(15, 20));
  expect(names(await store.messages.list({ states: ['relayed'] }))).toEqual(ids.slice(20));
  expect(names(await store.messages.list({ states: ['held'] }))).toEqual([]);
  expect(names(await store.messages.list({ domain: 'D3.example' }))).toEqual([3, 8, 13, 18].map((i) => ids[i]));
  expect(await store.messages.list({ user: 'even', limit: 1000 })).toHaveLength(10);
});

test('the list finds the one message far behind many others', async () => {
  const store = await testStore();
  await Promise.all(Array.from({ length: 4500 }, () => put(store)));
  const { id } = await put(store, newMessage({ to: ['x@rare.example'] }));
  expect((await store.messages.list({ domain: 'rare.example' })).map((message) => message.id)).toEqual([id]);
});

test('a message is found by id, Message-ID, recipient and reverse-path, the newest first', async () => {
  const store = await testStore();
  const old = await put(store, newMessage({ messageId: '<old@example.org>', to: ['Bob@example.net'], acceptedAt: NOW - DAY }), {
    claim: [0],
  });
  await relay(store, old.id);
  await Promise.all(
    Array.from({ length: 3000 }, () => put(store, newMessage({ reversePath: 'x@y.example', to: ['z@z.example'] }))),
  );
  const young = await put(store, newMessage({ messageId: '<young@example.org>', to: ['bob@example.net', 'carol@example.net'] }));
  const found = async (text: string, limit = 10) => (await store.messages.find(text, limit)).map(({ id }) => id);
  expect(await found(old.id)).toEqual([old.id]);
  expect(await found('old@example.org')).toEqual([old.id]);
  expect(await found('<young@example.org>')).toEqual([young.id]);
  expect(await found('BOB@example.net')).toEqual([young.id, old.id]);
  expect(await found('bob@example.net', 1)).toEqual([young.id]);
  expect(await found('alice@example.org')).toEqual([young.id, old.id]);
  expect(await found('nobody@example.net')).toEqual([]);
});

test('counts and summary name the waiting mail, its destinations and its age', async () => {
  const store = await testStore();
  await put(store, newMessage({ to: ['a@x.example', 'b@x.example', 'c@y.example'], acceptedAt: NOW - DAY }));
  const { id } = await put(store, newMessage({ to: ['d@x.example', 'e@z.example'] }), { claim: [0, 1] });
  await delay(store, id, LATER, 1);
  await store.messages.hold({ domain: 'y.example' }, NOW);
  expect(await store.messages.counts()).toEqual({
    states: { queued: 2, active: 1, delayed: 1, held: 1 },
    oldestAcceptedAt: NOW - DAY,
  });
  expect(await store.messages.summary(10)).toEqual([
    { destination: 'x.example', recipients: 3, oldestAcceptedAt: NOW - DAY, nextAttemptAt: NOW - DAY },
    { destination: 'z.example', recipients: 1, oldestAcceptedAt: NOW, nextAttemptAt: LATER },
  ]);
  expect(await store.messages.summary(1)).toHaveLength(1);
});

test('a signature is in use while a message that carries it has not ended', async () => {
  const store = await testStore();
  const { id } = await put(store, newMessage({ signatures: ['s1._domainkey.example.org', 's2._domainkey.example.org'] }));
  expect(await store.messages.signatureInUse('s2._domainkey.example.org')).toBe(true);
  expect(await store.messages.signatureInUse('s2._domainkey.example.or')).toBe(false);
  await store.messages.remove({ ids: [id] }, NOW);
  expect(await store.messages.signatureInUse('s2._domainkey.example.org')).toBe(false);
});

test('the trace is trimmed by age and by size, never what has not ended', async () => {
  const store = await testStore();
  const age = (days: number) => newMessage({ acceptedAt: NOW - days * DAY, to: ['a@x.example'] });
  const waiting = await put(store, age(40));
  const done = await Promise.all([39, 31, 29, 1].map((days) => put(store, age(days), { claim: [0] })));
  for (const { id } of done) await relay(store, id);
  expect(await asLeader(store.messages).trimTrace(NOW - 30 * DAY, 2 ** 31)).toBe(2);
  const left = await store.messages.list({ states: ['relayed', 'queued'] });
  expect(left.map(({ id }) => id)).toEqual([waiting.id, done[2]?.id, done[3]?.id]);
  expect(await asLeader(store.messages).trimTrace(0, 1000)).toBe(2);
  expect(await store.messages.get(waiting.id)).toMatchObject({ recipients: [{ state: 'queued' }] });
  expect(await store.messages.claim({ destination: 'x.example', now: NOW, limit: 9, lease: LEASE })).toHaveLength(1);
});

test('the trace is trimmed no further than its size asks for', async () => {
  const store = await testStore();
  const messages = await Promise.all(
    Array.from({ length: 3000 }, () => put(store, newMessage({ messageId: `<${'x'.repeat(900)}@y>` }), { claim: [0] })),
  );
  await Promise.all(messages.map(({ id }) => relay(store, id)));
  const removed = await asLeader(store.messages).trimTrace(0, 2 * 1024 * 1024);
  expect(removed).toBeGreaterThanOrEqual(500);
  expect(removed).toBeLessThan(3000);
  expect(await store.messages.get(messages[0]?.id ?? '')).toBeUndefined();
  expect(await store.messages.get(messages.at(-1)?.id ?? '')).toBeDefined();
});

test('space is given back when the trace is trimmed, all but a reserve', async () => {
  const path = dataDir();
  const store = await testStore({ dataDir: path });
  const large = () => newMessage({ content: { kind: 'inline', bytes: new Uint8Array(250_000) } });
  for (let i = 0; i < 15; i++) await Promise.all(Array.from({ length: 20 }, () => put(store, large())));
  const pages = () => {
    const db = new DatabaseSync(join(path, 'smarthost.db'));
    const { page_count } = db.prepare('PRAGMA page_count').get() as { page_count: number };
    db.close();
    return page_count;
  };
  const full = pages();
  await store.messages.remove({ all: true }, NOW);
  await asLeader(store.messages).trimTrace(NOW + 1, 0);
  expect(full).toBeGreaterThan(4500);
  expect(pages()).toBeLessThan(2300);
  expect(await store.messages.list({ states: ['removed'] })).toEqual([]);
});

test('a database that cannot give space back, as one that was recovered, is trimmed all the same', async () => {
  const path = dataDir();
  await (await testStore({ dataDir: path })).close();
  const db = new DatabaseSync(join(path, 'smarthost.db'));
  db.exec('PRAGMA journal_mode = DELETE; PRAGMA auto_vacuum = NONE; VACUUM');
  db.close();
  const store = await testStore({ dataDir: path });
  const large = () => newMessage({ content: { kind: 'inline', bytes: new Uint8Array(250_000) } });
  for (let i = 0; i < 10; i++) await Promise.all(Array.from({ length: 20 }, () => put(store, large())));
  await store.messages.remove({ all: true }, NOW);
  expect(await asLeader(store.messages).trimTrace(NOW + 1, 0)).toBe(200);
}, 10_000);
