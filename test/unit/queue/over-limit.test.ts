/** Mail that is held over a limit: when it is checked, and when it expires. */
import { expect, test, vi } from 'vitest';
import { createEventLog } from '../../../src/events/events.ts';
import { startOverLimit } from '../../../src/queue/over-limit.ts';
import { createSettler } from '../../../src/queue/settle.ts';
import type { OverLimit } from '../../../src/store/store.ts';
import { LEASE, NOW, newMessage, testStore } from '../../support/store-rig.ts';

const HOUR = 3_600_000;
const MESSAGE = { id: 'one', reversePath: 'anna@sender.test', recipients: [] };

function rig(first: OverLimit, limits: [] | null = []) {
  let monotonic = 0;
  const lines: string[] = [];
  const write = (event: string) => lines.push(event);
  const nothing = () => {};
  const store = {
    overLimit: vi.fn(async (): Promise<OverLimit> => first),
    releaseOverLimit: vi.fn(async (_: object) => ({
      released: [{ id: 'two', recipient: 'b@x.test', state: 'queued' as const }],
      more: false,
    })),
  };
  const giveUp = vi.fn(async () => {});
  const onReleased = vi.fn();
  const overLimit = startOverLimit({
    ...{ store, giveUp, onReleased, now: () => 0, monotonic: () => monotonic },
    log: createEventLog({ debug: write, info: write, warn: write, error: write, setLevel: nothing, flush: nothing }),
    limitsOf: async () => limits ?? undefined,
  });
  const looked = async () => {
    const calls = store.overLimit.mock.calls.length;
    overLimit.kick();
    await expect.poll(() => store.overLimit.mock.calls.length).toBeGreaterThan(calls + 1);
    await new Promise(setImmediate);
  };
  return { overLimit, store, giveUp, onReleased, looked, lines, pass: (ms: number) => (monotonic += ms) };
}

test('mail that the limits allow is released and logged; mail of a removed login is not', async () => {
  const { overLimit, looked, onReleased, lines } = rig({ users: ['anna'], expired: [] });
  await looked();
  expect(onReleased).toHaveBeenCalled();
  expect(new Set(lines)).toEqual(new Set(['released']));
  await overLimit.stop();
  const gone = rig({ users: ['anna'], expired: [] }, null);
  await gone.looked();
  expect(gone.store.releaseOverLimit).toHaveBeenCalledWith({ user: 'anna', list: null, now: 0 });
  await gone.overLimit.stop();
});

test('overdue mail expires after an hour of checks, so that a wrong clock returns no mail', async () => {
  const { overLimit, store, looked, giveUp, pass } = rig({ users: ['anna'], expired: [MESSAGE] });
  await looked();
  pass(HOUR - 1);
  await looked();
  expect(giveUp).not.toHaveBeenCalled();
  store.overLimit.mockResolvedValue({ users: ['anna'], expired: [] }); // the clock is right again
  await looked();
  store.overLimit.mockResolvedValue({ users: ['anna'], expired: [MESSAGE] });
  await looked();
  pass(HOUR - 1);
  await looked();
  expect(giveUp).not.toHaveBeenCalled();
  pass(1);
  await looked();
  expect(giveUp).toHaveBeenCalledWith(MESSAGE);
  await overLimit.stop();
});

test('a failing store is asked again', async () => {
  const { overLimit, store, looked, onReleased, lines } = rig({ users: ['anna'], expired: [] });
  await looked();
  store.overLimit.mockRejectedValueOnce(new Error('disk'));
  overLimit.kick();
  await expect.poll(() => lines).toContain('storeFailed');
  onReleased.mockClear();
  await looked();
  expect(onReleased).toHaveBeenCalled();
  await overLimit.stop();
});

test('mail past its lifetime ends as expired, with a report that is due at once', async () => {
  const store = await testStore();
  const list = [{ kind: 'messages', count: 1, per: 'day' } as const];
  for (const to of ['a@x.test', 'b@x.test']) {
    const limits = { user: 'alice', list, over: 'hold' as const, maxHeld: 10 };
    await store.messages.accept({ message: newMessage({ to: [to] }), claim: { indexes: [0], lease: LEASE }, limits });
  }
  const end = NOW + 432_000_000;
  const [held] = (await store.messages.overLimit(end)).expired;
  const nothing = () => {};
  const settler = createSettler({
    ...{ store: store.messages, now: () => end, monotonic: () => 0, random: () => 0 },
    ...{ onRetry: nothing, onReturned: nothing, onUntold: nothing },
    log: createEventLog({ debug: nothing, info: nothing, warn: nothing, error: nothing, setLevel: nothing, flush: nothing }),
    schedule: () => ({ delays: [60_000], lifetime: 0, delayWarning: 0, reportLifetime: 0 }) as never,
  });
  await settler.giveUp(held!);
  expect((await store.messages.get(held!.id))?.recipients).toMatchObject([
    { state: 'expired', lastReply: expect.stringMatching(/^450 4\.7\.1 It waited/) },
  ]);
  const { due } = await store.messages.dueReports({ now: end, limit: 10, perHour: 100 });
  expect(due).toMatchObject([{ kind: 'report', message: { id: held!.id } }]);
  await store.messages.releaseOverLimit({ user: 'alice', list: null, now: end });
  expect(await store.messages.overLimit(end)).toEqual({ users: [], expired: [] });
});
