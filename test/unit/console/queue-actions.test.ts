/** Actions on queued mail over the API: what is meant is pinned, and each recipient that is left alone has a reason. */
import { expect, test } from 'vitest';
import { makerOf } from '../../../src/console/route.ts';
import { createWorks } from '../../../src/control/control.ts';
import { MINUTE, SECOND } from '../../../src/system/clock.ts';
import { startTestConsole } from '../../support/console.ts';
import { LEASE, NOW, newMessage, put } from '../../support/store-rig.ts';

type Console = Awaited<ReturnType<typeof startTestConsole>>;

const to = (...addresses: string[]) => newMessage({ to: addresses });
const act = (console: Console, action: string, body: object) => done(console, `/queue/${action}`, body);
/** The work at its end. */
const done = async ({ ask }: Console, path: string, body: object) => {
  const { status, body: begun, headers } = await ask('POST', path, body);
  expect([status, headers.get('location')]).toEqual([202, `/api/v1/queue/work/${begun.id}`]);
  let work = begun;
  while (work.state === 'running') work = (await ask('GET', `/queue/work/${begun.id}`)).body; // a busy machine takes longer than an answer waits
  expect(work.state).toBe('done');
  return work;
};

test('mail that came after the preview is never touched', async () => {
  await using console = await startTestConsole();
  const early = to('a@x.test', 'b@x.test');
  await put(console.store, early);
  const preview = await console.ask('POST', '/queue/preview', { selection: { domain: 'X.test' } });
  expect(preview.body).toMatchObject({ recipients: 2, messages: 1, upTo: early.id, oldestAcceptedAt: expect.any(String) });
  const late = to('c@x.test');
  await put(console.store, late);
  const work = await act(console, 'remove', { selection: { domain: 'x.test' }, upTo: preview.body.upTo });
  expect(work).toMatchObject({ what: 'remove', total: 2, done: 2 });
  expect(work.result.changed).toEqual({
    count: 2,
    recipients: ['a@x.test', 'b@x.test'].map((recipient) => ({ id: early.id, recipient, state: 'removed' })),
  });
  expect((await console.store.messages.get(late.id))?.recipients[0]?.state).toBe('queued');
});

test('mail that has only become old enough since the preview is never touched', async () => {
  let now = NOW;
  await using console = await startTestConsole({ now: () => now });
  const aged = (address: string, age: number) => newMessage({ to: [address], acceptedAt: NOW - age * SECOND });
  const [old, young] = [aged('a@x.test', 100), aged('b@x.test', 50)];
  for (const message of [old, young]) await put(console.store, message);
  const selection = { olderThan: 80 };
  const { recipients, upTo } = (await console.ask('POST', '/queue/preview', { selection })).body;
  expect(recipients).toBe(1);
  now += MINUTE;
  expect((await console.ask('POST', '/queue/preview', { selection })).body.recipients).toBe(2);
  for (const wrong of ['x@y', 'x@1@2'])
    expect((await console.ask('POST', '/queue/preview', { selection, upTo: wrong })).body.errors[0].pointer).toBe('/upTo');
  const { result } = await act(console, 'remove', { selection, upTo });
  expect(result.changed.recipients.map(({ id }: { id: string }) => id)).toEqual([old.id]);
  expect((await console.store.messages.get(young.id))?.recipients[0]?.state).toBe('queued');
});

test('nobody has more than eight actions under way', async () => {
  const works = createWorks<any>();
  await using console = await startTestConsole({ works });
  const ends = Array.from({ length: 8 }, () => Promise.withResolvers<void>());
  for (const { promise } of ends)
    works.start({ owner: makerOf({ way: 'session', id: `admin ${NOW}` }), what: 'hold' }, () => promise);
  const hold = (as: 'admin' | 'operator') => console.ask('POST', '/queue/hold', { selection: { all: true } }, { as });
  const refused = await hold('admin');
  expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '5']);
  expect((await hold('operator')).status).toBe(202);
  for (const { resolve } of ends) resolve();
  await expect.poll(async () => (await hold('admin')).status).toBe(202);
});

test('a filter removes nothing that no preview has shown; what is named by its id needs none', async () => {
  await using console = await startTestConsole();
  const [one, two] = [to('a@x.test'), to('b@x.test')];
  for (const message of [one, two]) await put(console.store, message);
  await console.people.token('script', { scopes: ['queue:write'] });
  for (const as of ['admin', { token: 'script' }] as const)
    for (const selection of [{ domain: 'x.test' }, { all: true }]) {
      const { status, body } = await console.ask('POST', '/queue/remove', { selection }, { as });
      expect([status, body.errors[0].pointer]).toEqual([422, '/upTo']);
      expect(body.detail).toContain('/queue/preview');
    }
  expect((await act(console, 'remove', { selection: { ids: [one.id] } })).total).toBe(1);
  expect((await console.store.messages.get(two.id))?.recipients[0]?.state).toBe('queued');
});

test('mail that comes while an action goes on was not counted, and is left alone', async () => {
  await using console = await startTestConsole();
  const early = to('a@x.test');
  await put(console.store, early);
  const late = to('b@x.test');
  const coming: Promise<unknown>[] = [];
  const told = { expect: () => void coming.push(put(console.store, late)), add: () => {} };
  const { changed } = await console.control.queue.act('hold', { all: true }, told);
  await Promise.all(coming);
  expect(changed.recipients.map(({ id }) => id)).toEqual([early.id]);
  expect((await console.store.messages.get(late.id))?.recipients[0]?.state).toBe('queued');
});

test('each recipient that an action leaves alone has a reason', async () => {
  await using console = await startTestConsole();
  const [held, waiting, active] = [to('a@x.test'), to('b@x.test'), to('c@x.test')];
  for (const message of [held, waiting]) await put(console.store, message);
  await console.store.messages.accept({ message: active, claim: { indexes: [0], lease: LEASE } });
  await act(console, 'hold', { selection: { ids: [held.id] } });
  const again = await act(console, 'hold', { selection: { domain: 'x.test' } });
  expect(again.result.changed).toEqual({ count: 1, recipients: [{ id: waiting.id, recipient: 'b@x.test', state: 'held' }] });
  expect(again.result.unchanged).toMatchObject({
    count: 2,
    recipients: [
      { id: held.id, recipient: 'a@x.test', state: 'held', reason: 'It is held already.' },
      { id: active.id, recipient: 'c@x.test', state: 'active', reason: 'It is on its way now.' },
    ],
  });
  const released = await act(console, 'release', { selection: { ids: [held.id, active.id, 'nothing'] } });
  expect(released.result.changed.count).toBe(1);
  expect(released.result.unchanged.recipients).toMatchObject([
    { id: active.id, recipient: 'c@x.test', state: 'active', reason: 'It is not held.' },
    { id: 'nothing', recipient: null, state: null, reason: 'There is no such message.' },
  ]);
  const retried = await act(console, 'retry', { selection: { all: true } });
  expect(retried.result).toMatchObject({ changed: { count: 1 }, unchanged: { count: 2 } });
});

test('a selection says which mail is meant, in one way', async () => {
  await using console = await startTestConsole();
  for (const selection of [{}, { ids: ['a'], all: true }, { all: true, domain: 'x.test' }, { domain: 'x' }, { state: 'held' }]) {
    const { status } = await console.ask('POST', '/queue/remove', { selection });
    expect([selection, status]).toEqual([selection, 422]);
  }
});

test('waiting mail takes the way of the current routes, and a destination is tried again at once', async () => {
  await using console = await startTestConsole();
  const message = to('a@x.test');
  await put(console.store, message);
  const rule = { recipientDomain: 'x.test', hosts: ['smtp.up.test:25'], tls: 'verify', sign: true } as const;
  console.set({ routes: [rule] });
  const rerouted = await act(console, 'reroute', { selection: { all: true } });
  expect(rerouted.result.changed.count).toBe(1);
  const { destination } = (await console.store.messages.get(message.id))!.recipients[0]!;
  expect(destination).toContain('smtp.up.test');
  const resumed = await done(console, `/destinations/${encodeURIComponent(destination)}/resume`, {});
  expect(resumed.result.changed.count).toBe(1);
  expect(await console.store.messages.takeRetried(10)).toEqual([destination]);
});

test('work that takes long is asked for by the one who began it, and by nobody else', async () => {
  const clock = { now: 0 };
  const works = createWorks<never>(() => clock.now);
  const { promise, reject } = Promise.withResolvers<never>();
  const { id, ended } = works.start({ owner: 'anna', what: 'remove' }, async ({ expect: expected, add }) => {
    expected(10);
    add(4);
    return promise;
  });
  expect(works.find(id, 'anna')).toMatchObject({ state: 'running', total: 10, done: 4, result: null });
  expect(works.find(id, 'bob')).toBeUndefined();
  reject(new Error('the disk is full'));
  await ended;
  expect(works.find(id, 'anna')).toMatchObject({ state: 'failed', error: 'the disk is full' });
  clock.now += 3_600_001;
  await works.start({ owner: 'anna', what: 'hold' }, async () => undefined as never).ended;
  expect(works.find(id, 'anna')).toBeUndefined();
  await using console = await startTestConsole();
  expect((await console.ask('GET', `/queue/work/${id}`)).status).toBe(404);
});

test('the steps of large work are told, and all of it is changed', async () => {
  await using console = await startTestConsole();
  for (let i = 0; i < 3; i++) await put(console.store, to(...Array.from({ length: 800 }, (_, n) => `u${n}@x.test`)));
  const steps: number[] = [];
  const told = { expect: (total: number) => steps.push(total), add: (done: number) => steps.push(done) };
  const { changed, unchanged } = await console.control.queue.act('hold', { all: true }, told);
  expect([changed.count, changed.recipients.length, unchanged]).toEqual([2400, 100, { count: 0, recipients: [] }]);
  expect(steps[0]).toBe(2400);
  expect(steps.length).toBeGreaterThan(2);
  expect(steps.slice(1).reduce((sum, done) => sum + done, 0)).toBe(2400);
});
