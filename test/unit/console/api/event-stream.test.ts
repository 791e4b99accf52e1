/** When frames are made, and how the store is asked for mail of other processes. */
import { afterEach, beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import type { Control } from '../../../../src/control/control.ts';
import { quietFacts } from '../../../support/live-facts.ts';

/** Modules of these tests alone: a turn that others wait for would have another clock. */
const load = async () => ({
  ...(await import('../../../../src/console/api/event-stream.ts')),
  ...(await import('../../../../src/console/api/live-mail.ts')),
});
let modules: Awaited<ReturnType<typeof load>>;
beforeEach(async () => {
  vi.resetModules();
  modules = await load();
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
  vi.resetModules();
});

async function read(pieces: AsyncIterable<string>): Promise<number> {
  let count = 0;
  for await (const piece of pieces) count += piece.length;
  return count;
}

function open(next: () => undefined) {
  const ended = new AbortController();
  const whole = read(modules.eventStream(() => ({ next, end: () => {} }), ended.signal));
  return async () => {
    ended.abort();
    await whole;
  };
}

test('a stream that was opened again and again has one turn each half second, as any other', async () => {
  for (let i = 0; i < 12; i++) {
    const close = open(() => undefined);
    await vi.advanceTimersByTimeAsync(30);
    await close();
  }
  let turns = 0;
  const close = open(() => void turns++);
  await vi.advanceTimersByTimeAsync(5000);
  await close();
  expect(turns).toBeGreaterThanOrEqual(10);
  expect(turns).toBeLessThanOrEqual(11);
});

/** Follows mail of a store that other relays have too. */
function follow(browse: (query: { readonly before?: string }) => Promise<unknown>) {
  const heard: unknown[] = [];
  const trace = { browse: vi.fn(browse) };
  const end = modules.liveMail(quietFacts().live).hear(trace as unknown as Control['trace'], (change) => void heard.push(change));
  onTestFinished(end);
  return { heard, asked: trace.browse };
}

test('mail of other processes that is more than one page is looked at whole, and where that is too much it is said', async () => {
  let page = 0;
  const items = () => Array.from({ length: 100 }, (_, i) => ({ id: `zz${page}-${i}`, user: 'shop' }));
  const { heard, asked } = follow(async () => ({ items: items(), next: ++page < 3 ? `zz${page}` : null }));
  await vi.advanceTimersByTimeAsync(1000);
  expect(asked.mock.calls.map(([{ before }]) => before)).toEqual([undefined, 'zz1', 'zz2']);
  expect(heard).toHaveLength(300);
  const flood = follow(async () => ({ items: [], next: 'zz' }));
  await vi.advanceTimersByTimeAsync(1000);
  expect([flood.asked.mock.calls.length, flood.heard]).toEqual([10, [undefined]]);
});

test('a store that answers slowly has one such question at a time', async () => {
  let answer = () => {};
  const { asked } = follow(() => new Promise((resolve) => (answer = () => resolve({ items: [], next: null }))));
  await vi.advanceTimersByTimeAsync(5000);
  expect(asked).toHaveBeenCalledTimes(1);
  answer();
  await vi.advanceTimersByTimeAsync(1000);
  expect(asked).toHaveBeenCalledTimes(2);
});
