import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Config } from '../../../src/config/config.ts';
import { createEventLog } from '../../../src/events/events.ts';
import { exceptionsNow, startExceptions, startTrimming } from '../../../src/relay/upkeep.ts';
import type { KnownRecipient, OpenedStore } from '../../../src/store/store.ts';
import { DAY, MINUTE } from '../../../src/system/clock.ts';
import { createLog } from '../../../src/system/log.ts';
import { createMemoryData } from '../../support/memory-data.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** What `startTrimming` uses of a store; the lease is always there, unless the store says otherwise. */
function trimmable(parts: object) {
  return { operation: { takeLease: async () => true }, underLease: () => parts, ...parts } as unknown as OpenedStore;
}

const SETTINGS = { trace: { keep: 1, maxSize: 1 }, console: { idle: 2, lifetime: 3 } };

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
  let trimmed = 0;
  const trimActivity = async () => void trimmed++;
  const stop = startTrimming(trimmable({ messages, now: Date.now }), () => SETTINGS, { log, trimActivity, owner: 'one' });
  await vi.advanceTimersByTimeAsync(15 * MINUTE);
  await stop();
  expect(asked).toEqual([null, middle, null]);
  expect(trimmed).toBe(3);
});

test('of relays that share the data one removes old traces, and another one when that one is gone', async () => {
  const trimmed: string[] = [];
  const { operation } = createMemoryData().client();
  const log = createEventLog(createLog({ level: 'silent', format: 'json' }));
  const [one, two] = ['one', 'two'].map((owner) => {
    const messages = {
      trimTrace: async () => void trimmed.push(owner),
      forgetRecipients: async () => ({ forgotten: 0, after: null }),
    };
    const nothing = { trim: async () => false };
    const store = {
      messages,
      operation,
      suppression: nothing,
      feedback: nothing,
      console: nothing,
      audit: nothing,
      now: Date.now,
    };
    return startTrimming(trimmable(store), () => SETTINGS, { log, trimActivity: async () => {}, owner });
  });
  await vi.advanceTimersByTimeAsync(15 * MINUTE);
  expect(trimmed).toEqual(['one', 'one', 'one']);
  await one!();
  await vi.advanceTimersByTimeAsync(15 * MINUTE);
  await two!();
  expect(trimmed.slice(3)).toEqual(['two', 'two']);
});

test('changes are kept for a year, counted TLS sessions for 31 days, and sessions of the console as long as the settings say', async () => {
  const asked: unknown[] = [];
  const nothing = { trim: async () => 0 };
  const store = {
    messages: { trimTrace: async () => 0, forgetRecipients: async () => ({ forgotten: 0, after: null }) },
    ...{ suppression: nothing, feedback: nothing, now: () => 400 * DAY },
    console: { trim: async (...args: unknown[]) => void asked.push(args) },
    audit: { trim: async (before: number) => asked.push(before) < 3 },
    tlsResults: { trimTlsResults: async (day: number) => asked.push(day) < 5 },
  };
  const log = createEventLog(createLog({ level: 'silent', format: 'json' }));
  const parts = { log, trimActivity: async () => {}, owner: 'one' };
  const stop = startTrimming(trimmable(store), () => SETTINGS, parts);
  await vi.advanceTimersByTimeAsync(5 * MINUTE);
  await stop();
  const now = 400 * DAY;
  expect(asked).toEqual([[now, { createdBefore: now - 3, seenBefore: now - 2 }], 35 * DAY, 35 * DAY, 369, 369]);
});

test('an exception from TLS is logged at the start, each day and at a reload, until it ends', async () => {
  vi.setSystemTime(Date.UTC(2026, 11, 1));
  const until = Date.UTC(2026, 11, 3);
  let destinations: Config['destinations'] = [{ domain: 'a.test', ignore: ['dane'], until }];
  const config = () => ({ destinations, delivery: { tls: 'opportunistic' } }) as unknown as Config;
  const told: unknown[] = [];
  const log = createEventLog(createLog({ level: 'silent', format: 'json' }), ({ event, fields }) => told.push([event, fields]));
  const line = ['tlsException', { subject: 'domain: a.test', what: 'DANE is ignored', until: '2026-12-03T00:00:00.000Z' }];
  const { tell, close } = startExceptions(config, log);
  expect(told.splice(0)).toEqual([line]);
  await vi.advanceTimersByTimeAsync(DAY);
  expect(told.splice(0)).toEqual([line]);
  await vi.advanceTimersByTimeAsync(5 * DAY);
  expect(told.splice(0), 'it is over').toEqual([]);
  expect(exceptionsNow(config())).toEqual([]);
  destinations = [{ mx: 'b.test', tls: 'none' }];
  tell();
  close();
  expect(told).toEqual([
    ['tlsException', { subject: 'mx: b.test', what: 'TLS is none instead of opportunistic', until: undefined }],
  ]);
});
