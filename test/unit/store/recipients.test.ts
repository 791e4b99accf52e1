/** The life of a recipient: due, claimed, settled, taken back, and what a command does in between. */
import { expect, onTestFinished, test, vi } from 'vitest';
import { MINUTE } from '../../../src/system/clock.ts';
import {
  dataDir,
  delay,
  LEASE,
  NOW,
  newMessage,
  put,
  relay,
  relayedAttempt,
  settle,
  statesOf,
  testStore,
  wholeContent,
} from '../../support/store-rig.ts';

const claimFor = (destination: string, now = NOW, limit = 10) => ({ destination, now, limit, lease: LEASE });

test('destinations are due by the time of their longest waiting recipient', async () => {
  const store = await testStore();
  const late = await put(store, newMessage({ to: ['a@late.example'] }));
  await put(store, newMessage({ to: ['a@second.example'], acceptedAt: NOW + 1 }));
  await put(store, newMessage({ to: ['a@first.example', 'b@second.example'] }));
  await store.messages.claim(claimFor('late.example'));
  await delay(store, late.id, NOW + MINUTE);
  expect(await store.messages.due(NOW + 1, 10)).toEqual({
    due: [
      { destination: 'second.example', nextAttemptAt: NOW },
      { destination: 'first.example', nextAttemptAt: NOW },
    ].sort((a, b) => a.destination.localeCompare(b.destination)),
    nextAt: NOW + MINUTE,
  });
  expect((await store.messages.due(NOW + 1, 1)).due).toHaveLength(1);
  expect((await store.messages.due(NOW + MINUTE, 10)).due.at(-1)).toEqual({
    destination: 'late.example',
    nextAttemptAt: NOW + MINUTE,
  });
});

test('a claim leases the due mail of one destination once, with its content', async () => {
  const store = await testStore();
  const message = newMessage({ to: ['a@x.example', 'b@y.example', 'c@x.example'] });
  const bytes = Buffer.from((await wholeContent(message.content)) ?? '');
  await put(store, message);
  const [claim, ...more] = await store.messages.claim(claimFor('x.example'));
  expect(more).toEqual([]);
  expect(claim?.message.id).toBe(message.id);
  expect(claim?.recipients.map(({ n, address, state, nextAttemptAt }) => [n, address, state, nextAttemptAt])).toEqual([
    [0, 'a@x.example', 'active', null],
    [2, 'c@x.example', 'active', null],
  ]);
  expect(await wholeContent(claim?.content)).toEqual(bytes);
  expect(await store.messages.claim(claimFor('x.example'))).toEqual([]);
  expect((await store.messages.due(NOW, 10)).due.map(({ destination }) => destination)).toEqual(['y.example']);
});

test('a claim has at most 50 recipients and one claim a message; the rest stays due', async () => {
  const store = await testStore();
  await put(store, newMessage({ to: Array.from({ length: 120 }, (_, i) => `user${i}@x.example`) }));
  await put(store, newMessage({ to: ['other@x.example'] }));
  const sizes = async () => (await store.messages.claim(claimFor('x.example'))).map(({ recipients }) => recipients.length);
  expect([await sizes(), await sizes(), await sizes(), await sizes()]).toEqual([[50, 1], [50], [20], []]);
});

test('mail that is not due is not claimed', async () => {
  const store = await testStore();
  const { id } = await put(store, newMessage(), { claim: [0] });
  await delay(store, id, NOW + 5 * MINUTE);
  expect(await store.messages.claim(claimFor('example.net', NOW + 5 * MINUTE - 1))).toEqual([]);
  expect(await store.messages.claim(claimFor('example.net', NOW + 5 * MINUTE))).toMatchObject([
    { recipients: [{ attempts: 1, lastReply: '451 4.7.1 Later' }] },
  ]);
});

test('the message leaves with its last recipient, the trace stays', async () => {
  const store = await testStore();
  const { id } = await put(store, newMessage({ to: ['a@x.example', 'b@y.example'] }), { claim: [0, 1] });
  await relay(store, id, 0);
  expect(await store.messages.content(id)).toBeDefined();
  await delay(store, id, NOW + MINUTE, 1);
  await store.messages.claim(claimFor('y.example', NOW + MINUTE));
  await relay(store, id, 1);
  expect(await store.messages.content(id)).toBeUndefined();
  expect(await store.messages.list({})).toEqual([]);
  expect(await store.messages.counts()).toEqual({ states: {}, oldestAcceptedAt: null });
  const kept = await store.messages.get(id);
  expect(kept?.recipients.map(({ state, attempts, trace }) => [state, attempts, trace.map(({ outcome }) => outcome)])).toEqual([
    ['relayed', 1, ['relayed']],
    ['relayed', 2, ['delayed', 'relayed']],
  ]);
  expect(kept?.recipients[0]?.trace).toEqual([relayedAttempt]);
});

test('a recipient handed back counts no attempt', async () => {
  const store = await testStore();
  const { id } = await put(store, newMessage(), { claim: [0] });
  await settle(store, { messageId: id, at: NOW, changes: [{ n: 0, state: 'queued', nextAttemptAt: NOW + 7 }] });
  expect((await store.messages.get(id))?.recipients).toMatchObject([
    { state: 'queued', attempts: 0, nextAttemptAt: NOW + 7, trace: [] },
  ]);
});

test('attempts that failed because of us are counted apart, and in all', async () => {
  const store = await testStore();
  const { id } = await put(store, newMessage({ to: ['a@x.example'] }));
  for (const [i, excused] of [true, undefined, true].entries()) {
    const [claim] = await store.messages.claim(claimFor('x.example', NOW + i));
    expect(claim?.recipients[0]).toMatchObject({ attempts: i });
    const attempt = { ...relayedAttempt, outcome: 'delayed', at: NOW + i } as const;
    const change = { n: 0, state: 'delayed', nextAttemptAt: NOW + i + 1, attempt, ...(excused && { excused }) } as const;
    await settle(store, { messageId: id, at: NOW + i, changes: [change] });
  }
  const [claim] = await store.messages.claim(claimFor('x.example', NOW + 9));
  expect(claim?.recipients[0]).toMatchObject({ attempts: 3, excused: 2 });
});

test('a settlement that cannot be stored changes nothing at all', async () => {
  const store = await testStore();
  const { id } = await put(store, newMessage({ to: ['a@x.example', 'b@x.example'] }), { claim: [0, 1] });
  const changes = [
    { n: 0, state: 'relayed' as const },
    { n: 1, state: 'active' as const },
  ];
  await expect(settle(store, { messageId: id, at: NOW, changes })).rejects.toThrow(/settle/);
  expect(await statesOf(store, id)).toEqual(['active', 'active']);
  expect((await store.messages.counts()).states).toEqual({ active: 2 });
});

test('a recipient removed during its attempt stays removed, and the attempt is in the trace', async () => {
  const store = await testStore();
  const { id } = await put(store, newMessage(), { claim: [0] });
  expect(await store.messages.remove({ ids: [id] }, NOW)).toEqual([{ id, recipient: 'bob@example.net', state: 'removed' }]);
  await relay(store, id);
  await delay(store, id, NOW + MINUTE);
  expect((await store.messages.get(id))?.recipients).toMatchObject([
    { state: 'removed', attempts: 2, nextAttemptAt: null, trace: [{ outcome: 'relayed' }, { outcome: 'delayed' }] },
  ]);
  expect((await store.messages.due(NOW + MINUTE, 10)).due).toEqual([]);
});

test('the leases of one claim are given back alone, and all claims of an owner live with it', async () => {
  const store = await testStore();
  const first = await put(store, newMessage({ to: ['a@x.example'] }));
  await store.messages.claim({ ...claimFor('x.example'), lease: 'alive#1' });
  const second = await put(store, newMessage({ to: ['a@x.example'] }));
  await store.messages.claim({ ...claimFor('x.example'), lease: 'alive#10' });
  const direct = await put(store, newMessage(), { claim: [0], lease: 'alive#2' });
  expect(await store.messages.takeBack({ owner: 'alive', silence: 0, now: NOW })).toBe(0);
  expect(await store.messages.giveBack('alive#1', NOW + 5)).toBe(1);
  expect(await statesOf(store, first.id)).toEqual(['queued']);
  expect([await statesOf(store, second.id), await statesOf(store, direct.id)]).toEqual([['active'], ['active']]);
  expect(await store.messages.takeBack({ owner: 'aliv', silence: 0, now: NOW })).toBe(2);
});

test('a settlement that is repeated counts one attempt, and changes all it changed the first time', async () => {
  const store = await testStore();
  const { id } = await put(store, newMessage({ to: ['a@x.example', 'b@x.example'] }), { claim: [0, 1] });
  const changes = [
    { n: 0, state: 'relayed', attempt: relayedAttempt },
    { n: 1, state: 'delayed', nextAttemptAt: NOW + MINUTE, attempt: { ...relayedAttempt, outcome: 'delayed' } },
  ] as const;
  for (let i = 0; i < 3; i++)
    expect(await settle(store, { messageId: id, at: NOW, changes })).toEqual({ unchanged: [], lost: [], reportDue: false });
  expect((await store.messages.get(id))?.recipients).toMatchObject([
    { state: 'relayed', attempts: 1, trace: [{ outcome: 'relayed' }] },
    { state: 'delayed', attempts: 1, trace: [{ outcome: 'delayed' }] },
  ]);
});

test('mail that waits beyond a time is due at once, for any number of destinations and recipients', async () => {
  const store = await testStore();
  const spread = await put(store, newMessage({ to: Array.from({ length: 700 }, (_, i) => `a@d${i}.example`) }), {
    claim: [...Array(700).keys()],
  });
  const one = await put(store, newMessage({ to: Array.from({ length: 1500 }, (_, i) => `u${i}@one.example`) }), {
    claim: [...Array(1500).keys()],
  });
  const near = await put(store, newMessage({ to: ['a@one.example'] }), { claim: [0] });
  const held = await put(store, newMessage({ to: ['held@one.example'] }));
  await store.messages.hold({ ids: [held.id] }, NOW);
  const delayTo = (id: string, count: number, nextAttemptAt: number) =>
    settle(store, {
      messageId: id,
      at: NOW,
      changes: Array.from({ length: count }, (_, n) => ({ n, state: 'delayed' as const, nextAttemptAt })),
    });
  await delayTo(spread.id, 700, NOW + 1000 * MINUTE);
  await delayTo(one.id, 1500, NOW + 1000 * MINUTE);
  await delayTo(near.id, 1, NOW + MINUTE);
  expect(await store.messages.thaw(NOW + MINUTE, NOW + 7)).toBe(2200);
  const { due, nextAt } = await store.messages.due(NOW + 7, 2000);
  expect([due.length, due.every(({ nextAttemptAt }) => nextAttemptAt === NOW + 7), nextAt]).toEqual([701, true, null]);
  expect((await store.messages.get(near.id))?.recipients).toMatchObject([{ nextAttemptAt: NOW + MINUTE }]);
  expect(await statesOf(store, held.id)).toEqual(['held']);
  expect(await store.messages.thaw(NOW + MINUTE, NOW + 7)).toBe(0);
});

test('claims of dead owners are due again, claims of living owners stay', async () => {
  const path = dataDir();
  const store = await testStore({ dataDir: path });
  const dead = await put(store, newMessage({ to: ['a@x.example', 'b@x.example'] }), { claim: [0, 1], lease: 'dead#1' });
  const tried = await put(store, newMessage({ to: ['c@y.example'] }), { claim: [0], lease: 'dead#1' });
  await delay(store, tried.id, NOW);
  await store.messages.claim({ ...claimFor('y.example', NOW), lease: 'dead#1' });
  const mine = await put(store, newMessage(), { claim: [0], lease: 'alive#2' });
  await store.close();
  const again = await testStore({ dataDir: path });
  expect(await again.messages.takeBack({ owner: 'alive', silence: 0, now: NOW + 5 })).toBe(3);
  expect(await statesOf(again, dead.id)).toEqual(['queued', 'queued']);
  expect(await statesOf(again, tried.id)).toEqual(['delayed']);
  expect(await statesOf(again, mine.id)).toEqual(['active']);
  expect((await again.messages.due(NOW + 5, 10)).due).toHaveLength(2);
});

test('a settlement shares the commit of what comes next, and does not wait for it in vain', async () => {
  const commits: number[] = [];
  const store = await testStore({ onCommit: (_, requests) => commits.push(requests) });
  const [one, two] = [await put(store), await put(store)];
  const handBack = (messageId: string) =>
    store.messages.settle({ messageId, lease: null, at: NOW, changes: [{ n: 0, state: 'queued', nextAttemptAt: NOW + 7 }] });
  vi.useFakeTimers({ toFake: ['setTimeout'] });
  onTestFinished(() => void vi.useRealTimers());
  const settled = handBack(one.id);
  await new Promise(setImmediate);
  await put(store);
  await settled;
  expect(commits).toEqual([1, 1, 2]);
  const alone = handBack(two.id);
  vi.advanceTimersByTime(5);
  await alone;
  expect(commits).toEqual([1, 1, 2, 1]);
});
