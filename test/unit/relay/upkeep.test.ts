import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createEventLog } from '../../../src/events/events.ts';
import { startTrimming } from '../../../src/relay/upkeep.ts';
import type { KnownRecipient, Store } from '../../../src/store/store.ts';
import { MINUTE } from '../../../src/system/clock.ts';
import { createLog } from '../../../src/system/log.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test('besides the trace, a part of the known recipients is checked, each time the next part, and then from the start', async () => {
  const asked: (KnownRecipient | null)[] = [];
  const middle = { user: 'anna', address: 'm@x.example' };
  const messages = {
    trimTrace: async () => 0,
    async forgetRecipients(_: number, after: KnownRecipient | null) {
      asked.push(after);
      return { forgotten: 0, after: after === null ? middle : null };
    },
  };
  const log = createEventLog(createLog({ level: 'silent', format: 'json' }));
  const stop = startTrimming({ messages } as unknown as Store, () => ({ keep: 1, maxSize: 1 }), log);
  await vi.advanceTimersByTimeAsync(15 * MINUTE);
  await stop();
  expect(asked).toEqual([null, middle, null]);
});
