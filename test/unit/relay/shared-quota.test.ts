/** Counts of a user are told to other threads together, and without secrets. */
import { expect, test, vi } from 'vitest';
import { createSharedQuota } from '../../../src/relay/threads/shared-quota.ts';
import { credentialWith } from '../../support/credential.ts';

test('of many counts the newest of each user crosses, without the password', () => {
  vi.useFakeTimers();
  try {
    const told: unknown[][] = [];
    const defaults = { list: [], over: 'refuse' } as never;
    const quota = createSharedQuota({ messages: {} as never, defaults, now: () => 0, notify: () => {} }, (...use) =>
      told.push(use),
    );
    const limit = { count: 10, kind: 'messages', per: 'day' } as never;
    const use = (used: number) => [{ limit, used, resetsAt: 1 }] as never;
    const [anna, ben] = ['anna', 'ben'].map((name) => credentialWith({ name, createdAt: 7, hash: 'secret' }));
    for (let used = 1; used < 5; used++) quota.noteUse(anna!, use(used));
    quota.noteUse(ben!, use(1));
    quota.noteUse(ben!, []);
    expect(told).toEqual([]);
    vi.advanceTimersByTime(50);
    expect(told).toEqual([
      [{ name: 'anna', createdAt: 7 }, use(4), undefined],
      [{ name: 'ben', createdAt: 7 }, use(1), undefined],
    ]);
  } finally {
    vi.useRealTimers();
  }
});
