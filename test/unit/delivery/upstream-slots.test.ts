/** Slots of connections to an upstream with a limit: who gets one, who waits, and what the store is told. */
import { expect, test, vi } from 'vitest';
import { type Slot, type SlotOutcome, UpstreamSlots, upstreamLimits } from '../../../src/delivery/upstream-slots.ts';
import { createEventLog } from '../../../src/events/events.ts';
import type { SlotAnswer, SlotAsk } from '../../../src/store/slot-store.ts';
import { createLog } from '../../../src/system/log.ts';

const UP = 'route:up.test:587 as us';

function startSlots({ limit = 2 as number | undefined, answer }: { limit?: number; answer?: (ask: SlotAsk) => SlotAnswer } = {}) {
  const asked: SlotAsk[] = [];
  const dropped: string[] = [];
  const settings = { limit: limit as number | undefined };
  const slots = new UpstreamSlots({
    limitOf: () => settings.limit,
    drop: async (hosts) => void dropped.push(hosts),
    log: createEventLog(createLog({ level: 'silent', format: 'json' })),
    ...(answer && {
      store: {
        async ask(ask) {
          asked.push(ask);
          return answer(ask);
        },
      },
    }),
  });
  const take = (insists = false, signal = new AbortController().signal) => slots.take(UP, { signal, insists });
  return { slots, take, asked, dropped, settings };
}
const textOf = (outcome: SlotOutcome) => (outcome !== 'kept' && 'verdict' in outcome ? outcome.verdict.reply.text : 'a slot');

test('no more are open than the limit allows, and a closed connection makes room for the next in line', async () => {
  const { slots, take } = startSlots();
  const [first] = await Promise.all([take(), take()]);
  const order: string[] = [];
  const third = take().then(() => order.push('third'));
  const fourth = take().then(() => order.push('fourth'));
  slots.give(first as Slot);
  await third;
  expect(order).toEqual(['third']);
  slots.give(first as Slot);
  await fourth;
});

test('who waits may use a connection that is kept, and one is closed for whom it is of no use', async () => {
  const { slots, take, dropped } = startSlots({ limit: 1 });
  const first = await take();
  const second = take();
  slots.noteIdle(UP);
  expect(await second).toBe('kept');
  expect(dropped).toEqual([]);
  const again = take(true);
  await vi.waitFor(() => expect(dropped).toEqual([UP]));
  slots.give(first as Slot);
  expect(textOf(await again)).toBe('a slot');
});

test('what gets no slot in time is handed back untried, and what stops is too', async () => {
  vi.useFakeTimers();
  try {
    const { take, slots } = startSlots({ limit: 1 });
    await take();
    const late = take();
    const ending = new AbortController();
    const stopped = take(false, ending.signal);
    ending.abort();
    await vi.advanceTimersByTimeAsync(31_000);
    expect(await late).toMatchObject({ verdict: { kind: 'returned', pace: 'none' } });
    expect(textOf(await stopped)).toBe('The relay is shutting down');
    const last = take();
    slots.close();
    expect(textOf(await last)).toBe('The relay is shutting down');
  } finally {
    vi.useRealTimers();
  }
});

test('where relays share the data, their store is told all that is held and wanted, and is asked again after an error', async () => {
  vi.useFakeTimers();
  try {
    let fails = true;
    const { slots, take, asked } = startSlots({
      answer({ waiting }) {
        if (fails) throw new Error('the primary is gone');
        return { granted: Math.min(waiting, 1), othersWait: false };
      },
    });
    const first = take();
    await vi.advanceTimersByTimeAsync(0);
    fails = false;
    await vi.advanceTimersByTimeAsync(2000);
    slots.give((await first) as Slot);
    await vi.advanceTimersByTimeAsync(0);
    expect(asked.map(({ held, waiting }) => [held, waiting])).toEqual([
      [0, 1],
      [0, 1],
      [0, 0],
    ]);
  } finally {
    vi.useRealTimers();
  }
});

test('a connection that only waits for its next message is closed while another relay waits', async () => {
  vi.useFakeTimers();
  try {
    let othersWait = false;
    const { take, dropped } = startSlots({ answer: ({ waiting }) => ({ granted: waiting, othersWait }) });
    await take();
    othersWait = true;
    await vi.advanceTimersByTimeAsync(6000);
    expect(dropped).toEqual([UP]);
  } finally {
    vi.useRealTimers();
  }
});

test('when the limit goes away all may go, and the store forgets what was held', async () => {
  const { slots, take, asked, settings } = startSlots({
    limit: 1,
    answer: ({ held, waiting, most }) => ({ granted: Math.max(0, Math.min(waiting, most - held)), othersWait: false }),
  });
  await take();
  const second = take();
  settings.limit = undefined;
  slots.followOptions();
  expect(textOf(await second)).toBe('a slot');
  await vi.waitFor(() => expect(asked.at(-1)).toMatchObject({ held: 0, waiting: 0 }));
});

test('routes with the same hosts and user are one account, and the smallest number counts', () => {
  const login = { user: 'us', password: 'x' };
  const limits = upstreamLimits([
    { recipientDomain: 'a.test', hosts: ['up.test:587'], login, maxConnections: 5 },
    { recipientDomain: 'b.test', hosts: ['up.test:587'], login, maxConnections: 3 },
    { hosts: ['up.test:587'], maxConnections: 9 },
    { hosts: ['other.test'] },
  ]);
  expect([...limits]).toEqual([
    [UP, 3],
    ['route:up.test:587', 9],
  ]);
});
