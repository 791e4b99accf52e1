import { afterEach, describe, expect, test } from 'vitest';
import type { Outcome } from '../../../src/smtp/outcome.ts';
import type { Claim } from '../../../src/store/store.ts';
import { createMemoryStore, type MemoryStore } from '../../support/memory-store.ts';
import { delayed, gate, message, type Rig, recipient, relayed, returned, SCHEDULE, startRig } from '../../support/queue-rig.ts';

let rig: Rig<MemoryStore>;
afterEach(() => rig.queue.close(0));

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

async function until(condition: () => boolean): Promise<void> {
  for (const deadline = Date.now() + 60_000; !condition(); ) {
    if (Date.now() > deadline) throw new Error('waited a minute in vain');
    await pause(20);
  }
}

/** @param destinationOf gives the domain of the i-th message. */
async function fill(store: MemoryStore, count: number, destinationOf: (i: number) => string): Promise<void> {
  const all: Promise<unknown>[] = [];
  for (let i = 0; i < count; i++) {
    all.push(store.accept({ message: message([recipient(`u${i}@${destinationOf(i)}`)]) }));
  }
  await Promise.all(all);
}

/** Adds a message to `domain`, and waits for its settled delivery. */
async function arrives(domain: string): Promise<void> {
  const before = rig.of('relayed').length;
  await rig.queue.add({ message: message([recipient(`x@${domain}`)]) });
  await rig.logged('relayed', before + 1);
}

describe('fairness', () => {
  test.each([
    ['one destination', () => 'dead.example'],
    ['20 000 destinations', (i: number) => `dead${i}.example`],
  ])('20 000 messages for %s in back-off cost others nothing', async (_, destinationOf) => {
    const store = createMemoryStore();
    await fill(store, 20_000, destinationOf);
    rig = startRig({ store });
    for (let i = 0; i < 20_000; i++) rig.blocked.set(destinationOf(i), Date.now() + 600_000);
    await until(() => store.calls.due > 0);
    await pause(500);
    const before = { ...store.calls };
    for (let i = 0; i < 20; i++) await arrives('good.example');
    expect(store.calls.claim - before.claim).toBe(0);
    expect(store.calls.due - before.due).toBeLessThanOrEqual(3);
    await pause(1000);
    expect(store.calls.due - before.due).toBeLessThanOrEqual(5);
    expect(store.calls.claim - before.claim).toBe(0);
  });

  test('stored mail for a good destination is found behind 5 000 blocked ones', async () => {
    const store = createMemoryStore();
    await fill(store, 5000, (i) => `dead${i}.example`);
    await fill(store, 1, () => 'good.example');
    rig = startRig({ store });
    for (let i = 0; i < 5000; i++) rig.blocked.set(`dead${i}.example`, Date.now() + 600_000);
    await rig.logged('relayed');
  });

  test('a destination with much mail does not keep another waiting', async () => {
    const store = createMemoryStore();
    await fill(store, 500, () => 'big.example');
    await fill(store, 1, () => 'small.example');
    rig = startRig({ store });
    await rig.logged('relayed', 501);
    const order = rig.claims.map(({ recipients }) => recipients[0]!.destination);
    expect(order.indexOf('small.example')).toBeLessThan(30);
  });

  test('1 000 hanging attempts to many destinations leave memory for a good one', async () => {
    const store = createMemoryStore();
    const { promise, open } = gate();
    rig = startRig({
      store,
      memory: 4 * 1024 * 1024,
      deliver: async (claim: Claim) => {
        if (claim.recipients[0]!.destination.startsWith('tarpit')) await promise;
        return claim.recipients.map(() => relayed);
      },
    });
    for (let i = 0; i < 1000; i++) await rig.queue.add({ message: message([recipient(`u@tarpit${i % 200}.example`)]) });
    await arrives('good.example'); // before the hanging ones end, which is never
    open();
    await rig.logged('relayed', 1001);
  });
});

describe('waking up', () => {
  test('mail without room is delivered when the destination has room again', async () => {
    rig = startRig();
    rig.blocked.set('example.org', undefined);
    for (let i = 0; i < 30; i++) await rig.queue.add({ message: message([recipient('b@example.org')]) });
    await pause(50);
    expect(rig.claims).toHaveLength(0);
    rig.free('example.org');
    await rig.logged('relayed', 30);
  });

  test('mail is tried again when its time comes', async () => {
    let outcome: Outcome = delayed;
    rig = startRig({ deliver: async () => [outcome], schedule: { ...SCHEDULE, retry: [300] } });
    await rig.queue.add({ message: message([recipient('b@example.org')]) });
    await rig.logged('delayed');
    outcome = relayed;
    const startedAt = performance.now();
    await rig.logged('relayed');
    expect(performance.now() - startedAt).toBeGreaterThan(200);
    expect(rig.of('relayed')[0]!.fields['attempt']).toBe(2);
  });

  test('a retry comes at its time also if other mail for the same destination was due before', async () => {
    const store = createMemoryStore();
    const dueAt = Date.now() + 2000;
    await store.accept({ message: message([recipient('first@example.org')]) });
    await store.accept({ message: message([recipient('second@example.org')], { acceptedAt: dueAt }) });
    rig = startRig({ store });
    await rig.logged('relayed', 2);
    expect(Date.now()).toBeGreaterThanOrEqual(dueAt);
    expect(Date.now() - dueAt).toBeLessThan(15_000); // the queue looks every 30 s in any case
  });

  test('a back-off that ends is noticed without any event', async () => {
    rig = startRig();
    rig.blocked.set('example.org', Date.now() + 300);
    await rig.queue.add({ message: message([recipient('b@example.org')]) });
    setTimeout(() => rig.blocked.delete('example.org'), 250);
    await rig.logged('relayed');
  });

  test('mail that another process made due is found at wake()', async () => {
    rig = startRig({ deliver: async ({ recipients }) => recipients.map(() => (rig.claims.length > 1 ? relayed : delayed)) });
    const mail = message([recipient('b@example.org')]);
    await rig.queue.add({ message: mail });
    await rig.logged('delayed');
    await rig.store.retry({ ids: [mail.id] }, Date.now());
    rig.queue.wake();
    await rig.logged('relayed');
  });

  test('an idle queue asks for nothing', async () => {
    rig = startRig();
    await rig.queue.add({ message: message([recipient('b@example.org')]) });
    await rig.logged('relayed');
    await pause(300);
    const before = { ...rig.store.calls };
    await pause(1000);
    expect(rig.store.calls).toEqual(before);
  });

  test('mail that is given back again and again causes no busy loop', async () => {
    rig = startRig({ deliver: async ({ recipients }) => recipients.map(() => returned) });
    for (let i = 0; i < 5; i++) await rig.queue.add({ message: message([recipient('b@example.org')]) });
    await pause(1500);
    expect(rig.claims.length).toBeLessThan(40);
  });
});
