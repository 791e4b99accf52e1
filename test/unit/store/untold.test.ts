/** Outcomes that senders must still be told: stored with the outcome, collected, limited in number, and removed with their report. */

import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, test } from 'vitest';
import type { DueReport, NewUntold, RecipientState, Store } from '../../../src/store/store.ts';
import { HOUR, MINUTE, SECOND } from '../../../src/system/clock.ts';
import { asLeader } from '../../support/led.ts';
import { dataDir, LEASE, NOW, newMessage, put, settle, statesOf, testStore, wholeContent } from '../../support/store-rig.ts';

const REPLY = { code: 550, status: '5.1.1', text: 'No such user' };
const owed = (n: number, change: Partial<NewUntold> = {}): NewUntold => ({
  ...{ n, action: 'failed', reply: REPLY, mx: 'mx.example.net', at: NOW, collectUntil: NOW + 30 * SECOND },
  ...change,
});

/** Recipient `n` fails, and its sender must hear of it. */
const fail = (store: Store, messageId: string, n: number, change: Partial<NewUntold> & { state?: RecipientState } = {}) => {
  const { state = 'failed', ...more } = change;
  return settle(store, { messageId, at: more.at ?? NOW, changes: [{ n, state }], untold: [owed(n, more)] });
};
const due = (store: Store, now = NOW, perHour = 100, limit = 8) => store.messages.dueReports({ now, limit, perHour });
const told = (store: Store, one: DueReport, now = NOW) => {
  const sender = one.kind === 'report' ? one.message.reversePath : one.sender;
  const report = newMessage({ user: null, reversePath: '', to: [sender], acceptedAt: now });
  return store.messages.told({ sender, untold: one.untold, at: now, report }).then((stored) => ({ stored, report }));
};
const numbers = (one: DueReport) => one.untold.map(({ n }) => n);

test('an outcome and the duty to tell it are one transaction, a report and the end of that duty another', async () => {
  const store = await testStore();
  const { id } = await put(store, newMessage(), { claim: [0] });
  expect(await fail(store, id, 0)).toEqual({ unchanged: [], lost: [], reportDue: true });
  const { due: reports } = await due(store);
  expect(reports).toMatchObject([
    { kind: 'report', message: { id }, untold: [{ n: 0, action: 'failed', reply: REPLY, mx: 'mx.example.net', at: NOW }] },
  ]);
  expect((await wholeContent((reports[0] as { content: undefined }).content))?.byteLength).toBe(200);
  const { stored, report } = await told(store, reports[0]!);
  expect(stored).toBe(true);
  expect(await store.messages.list({})).toMatchObject([{ id: report.id, user: null }]);
  expect(await due(store)).toEqual({ due: [], nextAt: null });
  expect(await store.messages.content(id)).toBeUndefined();
});

test('a settlement, and a report, that are repeated because the answer was lost tell nothing twice', async () => {
  const store = await testStore();
  const { id } = await put(store, newMessage({ to: ['a@x.example', 'b@y.example'] }), { claim: [0, 1] });
  const attempt = {
    at: NOW,
    mx: null,
    ip: null,
    tls: null,
    outcome: 'failed',
    code: 550,
    status: '',
    reply: '',
    seconds: 0,
  } as const;
  const settlement = { messageId: id, at: NOW, changes: [{ n: 0, state: 'failed', attempt }], untold: [owed(0)] } as const;
  await settle(store, settlement);
  await settle(store, settlement);
  const late = { messageId: id, at: NOW, changes: [{ n: 1, state: 'queued', delayReported: true }] } as const;
  const delay = { ...late, untold: [owed(1, { action: 'delayed' })] };
  await settle(store, delay);
  const [first, second, ...more] = (await due(store, NOW + MINUTE)).due;
  expect([numbers(first!), numbers(second!), more]).toEqual([[0], [1], []]);
  for (const one of [first!, second!]) {
    expect((await told(store, one)).stored).toBe(true);
    expect((await told(store, one)).stored).toBe(false);
  }
  await settle(store, settlement);
  await settle(store, delay);
  expect((await due(store, NOW + HOUR)).due).toEqual([]);
  expect((await store.messages.list({})).filter(({ user }) => user === null)).toHaveLength(2);
});

test('recipients that fail one after the other share a report, which is due as soon as no other is being tried', async () => {
  const store = await testStore();
  const to = Array.from({ length: 200 }, (_, i) => `a@dead${i}.example`);
  const { id } = await put(store, newMessage({ to }), { claim: to.map((_, i) => i) });
  for (let n = 0; n < 199; n++) expect((await fail(store, id, n)).reportDue).toBe(false);
  expect(await due(store)).toEqual({ due: [], nextAt: NOW + 30 * SECOND });
  expect((await fail(store, id, 199)).reportDue).toBe(true);
  const { due: reports } = await due(store);
  expect(reports.map((one) => one.untold.length)).toEqual([200]);
});

test('a recipient that is tried for long, or soon again, keeps the others from their report for the time of collecting only', async () => {
  const store = await testStore();
  const { id } = await put(store, newMessage({ to: ['a@x.example', 'b@y.example', 'c@z.example'] }), { claim: [0, 1, 2] });
  expect((await fail(store, id, 0)).reportDue).toBe(false);
  await settle(store, { messageId: id, at: NOW, changes: [{ n: 1, state: 'delayed', nextAttemptAt: NOW + SECOND }] });
  expect((await due(store, NOW + 29 * SECOND)).due).toEqual([]);
  expect((await due(store, NOW + 30 * SECOND)).due.map(numbers)).toEqual([[0]]);
  // One that waits longer than reports are collected keeps none back.
  await settle(store, { messageId: id, at: NOW, changes: [{ n: 1, state: 'delayed', nextAttemptAt: NOW + HOUR }] });
  expect(await settle(store, { messageId: id, at: NOW, changes: [{ n: 2, state: 'relayed' }] })).toMatchObject({
    reportDue: true,
  });
  expect((await due(store)).due.map(numbers)).toEqual([[0]]);
});

test('failed and expired recipients share one report, late ones have another', async () => {
  const store = await testStore();
  const { id } = await put(store, newMessage({ to: ['a@x.example', 'b@y.example', 'c@z.example'] }), { claim: [0, 1, 2] });
  await fail(store, id, 0);
  await fail(store, id, 1, { state: 'expired', action: 'expired', collectUntil: NOW + HOUR });
  await fail(store, id, 2, { state: 'delayed', action: 'delayed' });
  const { due: reports } = await due(store, NOW + 30 * SECOND);
  expect(reports.map(numbers)).toEqual([[0, 1], [2]]);
});

test('one report of a delay names all late recipients, and no second report does', async () => {
  const store = await testStore();
  const to = Array.from({ length: 12 }, (_, i) => `a@slow${i}.example`);
  const { id } = await put(store, newMessage({ to }), { claim: to.map((_, i) => i) });
  const attempt = (at: number) =>
    ({
      at,
      mx: 'mx',
      ip: null,
      tls: null,
      outcome: 'delayed',
      code: 450,
      status: '4.2.0',
      reply: '450 4.2.0 Busy',
      seconds: 1,
    }) as const;
  for (const [n] of to.entries())
    await settle(store, {
      messageId: id,
      at: NOW,
      changes: [{ n, state: 'delayed', nextAttemptAt: NOW + 4 * HOUR + n * MINUTE, attempt: attempt(NOW) }],
    });
  let reports = 0;
  for (const [n, address] of to.entries()) {
    const at = NOW + 4 * HOUR + n * MINUTE;
    await store.messages.claim({ destination: address.split('@')[1]!, now: at, limit: 1, lease: LEASE });
    const changes = [{ n, state: 'delayed', nextAttemptAt: at + HOUR, attempt: attempt(at), delayReported: true }] as const;
    await settle(store, {
      messageId: id,
      at,
      changes,
      untold: [owed(n, { action: 'delayed', at, collectUntil: at + 30 * SECOND })],
    });
    for (const one of (await due(store, at + 31 * SECOND)).due) {
      reports++;
      expect(one.untold.map(({ reply }) => reply.words ?? reply.text).slice(-1)).toEqual(['4.2.0 Busy']);
      expect(one.untold).toHaveLength(12);
      await told(store, one, at + 31 * SECOND);
    }
  }
  expect(reports).toBe(1);
});

test('of a recipient that has ended by then, no delay is told', async () => {
  const store = await testStore();
  const { id } = await put(store, newMessage({ to: ['a@x.example', 'b@y.example'] }), { claim: [0, 1] });
  await fail(store, id, 0, { state: 'delayed', action: 'delayed' });
  await settle(store, { messageId: id, at: NOW, changes: [{ n: 0, state: 'relayed' }] });
  expect(await due(store, NOW + MINUTE)).toEqual({ due: [], nextAt: null });
});

test('there is no report about a recipient that a command removed during its attempt', async () => {
  const store = await testStore();
  const { id } = await put(store, newMessage(), { claim: [0] });
  await store.messages.remove({ ids: [id] }, NOW);
  expect(await fail(store, id, 0)).toEqual({ unchanged: [0], lost: [], reportDue: false });
  expect(await due(store, NOW + HOUR)).toEqual({ due: [], nextAt: null });
});

test('beyond the reports of an hour a sender gets one summary; another sender is not concerned', async () => {
  const store = await testStore();
  const ids: string[] = [];
  for (let i = 0; i < 10; i++) {
    const { id } = await put(store, newMessage(), { claim: [0] });
    await fail(store, id, 0);
    ids.push(id);
  }
  const other = await put(store, newMessage({ reversePath: 'carol@example.org' }), { claim: [0] });
  await fail(store, other.id, 0);
  const first = await due(store, NOW, 3, 20);
  expect(first.due.map((one) => one.kind === 'report' && one.message.reversePath)).toEqual([
    ...Array(3).fill('alice@example.org'),
    'carol@example.org',
  ]);
  for (const one of first.due) await told(store, one);
  expect((await due(store, NOW, 3)).due).toEqual([]);
  // Their content is not kept for a summary, but who they were is.
  expect(await store.messages.content(ids[9]!)).toBeUndefined();
  await asLeader(store.messages).trimTrace(NOW + HOUR, 1);
  const late = (await due(store, NOW + HOUR, 3)).due;
  expect(late).toMatchObject([{ kind: 'summary', sender: 'alice@example.org' }]);
  expect(late[0]!.untold.map(({ message }) => message).sort()).toEqual(ids.slice(3).sort());
  expect((await told(store, late[0]!, NOW + HOUR)).stored).toBe(true);
  expect(await due(store, NOW + HOUR)).toEqual({ due: [], nextAt: null });
  // The next hour is a new one.
  const { id } = await put(store, newMessage(), { claim: [0] });
  await fail(store, id, 0, { at: NOW + HOUR });
  expect((await due(store, NOW + HOUR, 3)).due).toMatchObject([{ kind: 'report' }]);
});

test('a report that cannot be written is due again later, and its message keeps its content', async () => {
  const store = await testStore();
  const { id } = await put(store, newMessage(), { claim: [0] });
  await fail(store, id, 0);
  await store.messages.postponeReport((await due(store)).due[0]!.untold, NOW + 5 * MINUTE);
  expect(await due(store)).toEqual({ due: [], nextAt: NOW + 5 * MINUTE });
  expect(await store.messages.content(id)).toBeDefined();
  expect((await due(store, NOW + 5 * MINUTE)).due.map(numbers)).toEqual([[0]]);
});

test('a clock that was ahead does not delay a report for long', async () => {
  const store = await testStore();
  const { id } = await put(store, newMessage({ to: ['a@x.example', 'b@y.example'] }), { claim: [0, 1] });
  await fail(store, id, 0, { at: NOW + 48 * HOUR, collectUntil: NOW + 48 * HOUR });
  expect((await due(store)).due.map(numbers)).toEqual([[0]]);
});

test('a message whose body is damaged, and one whose envelope is, keep no other report back', async () => {
  const path = dataDir();
  const store = await testStore({ dataDir: path });
  const ids = [];
  for (let i = 0; i < 3; i++) {
    const { id } = await put(store, newMessage(), { claim: [0] });
    await fail(store, id, 0);
    ids.push(id);
  }
  await store.close();
  const db = new DatabaseSync(join(path, 'smarthost.db'));
  db.exec(`UPDATE contents SET bytes = zeroblob(200) WHERE key = (SELECT content FROM open WHERE id = '${ids[0]}')`);
  db.exec(`UPDATE messages SET reverse_path = 'mallory@example.org' WHERE id = '${ids[1]}'`);
  db.close();
  const damaged: string[] = [];
  const again = await testStore({ dataDir: path, onDamaged: ({ id }) => void damaged.push(id) });
  const { due: reports } = await due(again);
  expect(reports.map((one) => one.kind === 'report' && [one.message.id, one.content === undefined])).toEqual([
    [ids[0], true],
    [ids[2], false],
  ]);
  expect(damaged).toEqual([ids[1]]);
  expect(await statesOf(again, ids[1]!)).toEqual(['failed']);
});
