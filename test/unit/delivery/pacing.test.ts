import { expect, test } from 'vitest';
import { createAborts } from '../../../src/delivery/aborts.ts';
import type { Place } from '../../../src/delivery/host-set.ts';
import { Pacing } from '../../../src/delivery/pacing.ts';
import { createEventLog } from '../../../src/events/events.ts';
import type { Pace } from '../../../src/store/store.ts';
import { HOUR, MINUTE } from '../../../src/system/clock.ts';
import { createLog } from '../../../src/system/log.ts';

async function startTestPacing() {
  const stored = new Map<string, Pace>();
  const clock = { now: 1_700_000_000_000 };
  const pacing = await Pacing.start({
    operation: {
      paces: async () => [],
      putPace: async (pace) => void stored.set(pace.key, pace),
      removePace: async (key) => void stored.delete(key),
    },
    log: createEventLog(createLog({ level: 'silent', format: 'json' })),
    aborts: createAborts(),
    now: () => clock.now,
    concurrency: () => 20,
  });
  const enter = (key: string) => {
    const lookUp = pacing.lookUp(key);
    pacing.lookedUp(lookUp);
    return pacing.enter({ key, lookUp, sender: '', signal: new AbortController().signal });
  };
  const attempt = (key: string) => {
    pacing.leave(enter(key) as Place, 'block', 'no answer');
  };
  return { pacing, stored, clock, enter, attempt };
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

test('a look-up that began before the settings changed does not bring the old hosts back', async () => {
  const { pacing, attempt } = await startTestPacing();
  attempt('old');
  const lookUp = pacing.lookUp('a.test');
  pacing.forgetWays();
  pacing.lookedUp(lookUp);
  expect(pacing.enter({ key: 'old', lookUp, sender: '', signal: new AbortController().signal })).toMatchObject({
    notBefore: expect.any(Number),
  });
  expect(pacing.room('a.test')).toBe(10);
  expect(pacing.blockedUntil('a.test')).toBeUndefined();
  pacing.close();
});

test('a failure under settings that have been changed since rests nobody', async () => {
  const { pacing, enter } = await startTestPacing();
  const place = enter('route:upstream') as Place;
  pacing.forgetWays();
  pacing.leave(place, 'block', 'wrong password');
  expect(pacing.resting()).toBe(0);
  pacing.close();
});
