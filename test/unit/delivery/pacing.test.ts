import { expect, test } from 'vitest';
import { createAborts } from '../../../src/delivery/aborts.ts';
import { startPacing } from '../../../src/delivery/pacing.ts';
import type { Pace } from '../../../src/store/store.ts';
import { HOUR, MINUTE } from '../../../src/system/clock.ts';
import { createLog } from '../../../src/system/log.ts';
import { createMailLog } from '../../../src/system/mail-log.ts';

async function startTestPacing() {
  const stored = new Map<string, Pace>();
  const clock = { now: 1_700_000_000_000 };
  const pacing = await startPacing({
    operation: {
      paces: async () => [],
      putPace: async (pace) => void stored.set(pace.key, pace),
      removePace: async (key) => void stored.delete(key),
    },
    log: createMailLog(createLog({ level: 'silent', format: 'json' })),
    aborts: createAborts(),
    now: () => clock.now,
    concurrency: () => 20,
  });
  const attempt = (key: string) => {
    expect(pacing.enter(key, key, new AbortController().signal)).toBeUndefined();
    pacing.leave(key, 'block', 'no answer');
  };
  return { pacing, stored, clock, attempt };
}

test('dead hosts are forgotten when their rest is long over, in the store too, however many there were', async () => {
  const { pacing, stored, clock, attempt } = await startTestPacing();
  for (let i = 0; i < 20_000; i++) attempt(`old${i}`);
  expect(stored.size).toBe(20_000);
  clock.now += HOUR + 2 * MINUTE;
  attempt('new');
  expect([...stored.keys()]).toEqual(['new']);
  pacing.close();
});

test('what rests, or rested a short while ago, is not forgotten', async () => {
  const { pacing, stored, clock, attempt } = await startTestPacing();
  for (let i = 0; i < 20_000; i++) attempt(`resting${i}`);
  attempt('new');
  expect(stored.size).toBe(20_001);
  clock.now += 30 * MINUTE;
  attempt('another');
  expect(stored.size).toBe(20_002);
  clock.now += 10;
  expect(pacing.blockedUntil('another')).toBe(clock.now - 10 + MINUTE);
  pacing.close();
});
