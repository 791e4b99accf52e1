import { afterEach, describe, expect, test } from 'vitest';
import { decideUntried } from '../../../src/queue/decide.ts';
import { patience } from '../../../src/queue/schedule.ts';
import { createFailureMemory } from '../../../src/queue/settle.ts';
import type { Outcome } from '../../../src/smtp/outcome.ts';
import type { StoredRecipient } from '../../../src/store/store.ts';
import { DAY, HOUR } from '../../../src/system/clock.ts';
import { createMemoryStore, type MemoryStore } from '../../support/memory-store.ts';
import { delayed, message, type Rig, recipient, relayed, SCHEDULE, startRig } from '../../support/queue-rig.ts';

const T = 1_700_000_000_000;
const stored: StoredRecipient = {
  ...{ ...recipient('b@example.org'), n: 0, state: 'active', attempts: 0 },
  ...{ nextAttemptAt: null, lastReply: null, delayReported: false },
};
const facts = (now: number, failedAt: number, rest: Partial<StoredRecipient> = {}) => {
  const about = message([], { acceptedAt: T });
  const seen = { outcome: delayed as Outcome, now, failedAt, failingFor: DAY };
  return { message: about, recipient: { ...stored, ...rest }, schedule: SCHEDULE, random: 0.5, ...seen };
};

test('a destination fails since its first failure that was not ours', () => {
  const memory = createFailureMemory();
  const note = (outcome: Outcome, monotonic: number) => memory.note('d.test', outcome, { at: T, monotonic });
  const login = { ...delayed, waitsForUs: true } as Outcome;
  note(login, 100);
  expect(memory.of('d.test').since).toBe(Number.POSITIVE_INFINITY);
  for (const monotonic of [200, 300]) note(delayed, monotonic);
  expect(memory.of('d.test').since).toBe(200);
  note(login, 400);
  note(delayed, 500);
  expect(memory.of('d.test').since).toBe(500);
});

describe('decideUntried', () => {
  test('expires when its destination failed after its lifetime, without inventing an attempt', () => {
    const { change, event, report } = decideUntried(facts(T + 6 * DAY, T + 5.5 * DAY));
    expect(change).toEqual({ n: 0, state: 'expired', lastReply: '450 4.2.0 Greylisted' });
    expect([event, report?.action]).toEqual(['expired', 'expired']);
  });

  test('a relay that stood still for days gives a destination its time before it gives up the mail that waited', () => {
    const eventAfter = (failingFor: number) => decideUntried({ ...facts(T + 6 * DAY, T + 5.5 * DAY), failingFor }).event;
    expect(eventAfter(HOUR)).toBe('untried');
    expect(eventAfter(3 * HOUR)).toBe('expired');
  });

  test('mail that waits for us does not expire', () => {
    const outcome: Outcome = { ...delayed, waitsForUs: true } as Outcome;
    expect(decideUntried({ ...facts(T + 6 * DAY, T + 5.5 * DAY), outcome }).event).toBe('untried');
  });

  test('a failure before the end of its lifetime does not end it, nor does a clock that jumped ahead', () => {
    expect(decideUntried(facts(T + 40 * DAY, T + 4 * DAY, { delayReported: true }))).toMatchObject({
      event: 'untried',
      change: { state: 'queued', nextAttemptAt: T + 40 * DAY },
    });
  });

  test('a failure that was noted under a clock far ahead does not end it once the clock is right', () => {
    expect(decideUntried(facts(T + HOUR, T + 365 * DAY))).toMatchObject({ event: 'untried', change: { state: 'queued' } });
  });

  test('warns once of the delay', () => {
    expect(decideUntried(facts(T + 3 * HOUR, T)).report).toBeUndefined();
    expect(decideUntried(facts(T + 5 * HOUR, T))).toMatchObject({
      change: { delayReported: true },
      report: { action: 'delayed' },
    });
    expect(decideUntried(facts(T + 5 * HOUR, T, { delayReported: true })).report).toBeUndefined();
  });

  test('is checked hourly, sooner if the schedule is shorter', () => {
    expect(patience(SCHEDULE)).toBe(HOUR);
    expect(patience({ ...SCHEDULE, delayWarning: 60_000 })).toBe(15_000);
  });
});

describe('a dead destination', () => {
  let rig: Rig<MemoryStore>;
  afterEach(() => rig.queue.close(0));

  test('ends all its mail after the lifetime, although only one message was tried', async () => {
    let now = Date.now();
    let deliveries = 0;
    rig = startRig({
      now: () => now,
      monotonic: () => now,
      deliver: async ({ recipients }) => {
        deliveries++;
        rig.blocked.set('dead.example', now + DAY);
        return recipients.map(() => (recipients[0]!.destination === 'dead.example' ? delayed : relayed));
      },
    });
    for (let i = 0; i < 100; i++)
      await rig.queue.add({ message: message([recipient(`u${i}@dead.example`)], { acceptedAt: now }) });
    await rig.logged('delayed');
    const tried = deliveries;
    now += 5 * DAY + HOUR;
    rig.queue.wake();
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(rig.of('expired')).toHaveLength(0); // nothing was tried since
    rig.blocked.clear();
    rig.free('dead.example');
    rig.queue.wake();
    await rig.logged('expired'); // the probe
    now += HOUR + 1000; // the others are looked at hourly
    rig.queue.wake();
    await rig.logged('expired', 100);
    expect(deliveries - tried).toBeLessThan(60);
    expect(rig.of('delayed')).toHaveLength(tried);
  });

  test('has its waiting mail checked once, not again and again', async () => {
    const store = createMemoryStore();
    const acceptedAt = Date.now() - 2 * HOUR;
    for (let i = 0; i < 70; i++) await store.accept({ message: message([recipient(`u${i}@dead.example`)], { acceptedAt }) });
    rig = startRig({ store });
    rig.blocked.set('dead.example', Date.now() + DAY);
    await expect.poll(() => store.calls.claim).toBeGreaterThan(3);
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(store.calls.claim).toBe(4); // 20, 20, 20, 10
    expect(store.settlements).toHaveLength(70);
  });
});
