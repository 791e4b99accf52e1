/** How often a store on PostgreSQL reads all due destinations again. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { DatabaseTransaction } from '../../../src/store/postgres/database-transaction.ts';
import { DueMemory } from '../../../src/store/postgres/due-memory.ts';
import { SECOND } from '../../../src/system/clock.ts';

beforeEach(() => vi.useFakeTimers({ toFake: ['performance'] }));
afterEach(() => vi.useRealTimers());

const ROWS = Array.from({ length: 200 }, (_, i) => ({ name: `d${i}`, earliest: 5 }));

/** A server with 200 destinations that takes so long for each answer. @returns how often all were read when each pause had passed. */
async function readsOfAll(takes: number, pauses: readonly number[], meanwhile = (_: DueMemory) => {}): Promise<number[]> {
  let reads = 0;
  const memory = new DueMemory();
  const all = async () => {
    reads++;
    vi.advanceTimersByTime(takes);
    meanwhile(memory);
    return ROWS;
  };
  const seen: number[] = [];
  for (const pause of pauses) {
    vi.advanceTimersByTime(pause);
    const { due } = await memory.read({ all } as unknown as DatabaseTransaction, { now: 10, limit: 3, others: [] });
    expect(due).toHaveLength(3);
    seen.push(reads);
  }
  return seen;
}

test('a quick answer is known for two seconds', async () => {
  expect(await readsOfAll(20, [0, 1.9 * SECOND, 0.2 * SECOND])).toEqual([1, 1, 2]);
});

test('a slow answer is known for ten times as long as it took', async () => {
  expect(await readsOfAll(SECOND, [0, 9.9 * SECOND, 0.2 * SECOND])).toEqual([1, 1, 2]);
});

test('no answer is known for longer than twenty seconds', async () => {
  expect(await readsOfAll(8 * SECOND, [0, 19.9 * SECOND, 0.2 * SECOND])).toEqual([1, 1, 2]);
});

test('what is to be forgotten while it is read is read again at once', async () => {
  expect(await readsOfAll(20, [0, 1, 1], (memory) => memory.forget())).toEqual([1, 2, 3]);
});
