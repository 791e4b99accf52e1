/** Signs of life: given while something is claimed, missed after a standstill, and what follows. */
import { beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import { createEventLog } from '../../../src/events/events.ts';
import { startHeartbeat } from '../../../src/queue/heartbeat.ts';
import { HOUR, SECOND } from '../../../src/system/clock.ts';
import { createLog } from '../../../src/system/log.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'Date', 'performance'] });
  return () => vi.useRealTimers();
});

function start({ busy = true, known = true }: { busy?: boolean; known?: boolean } = {}) {
  const calls = { beat: 0, takeBack: 0, due: 0, lost: 0 };
  const state = { busy, known, broken: false };
  const heartbeat = startHeartbeat({
    store: {
      async beat() {
        calls.beat++;
        if (state.broken) throw new Error('disk full');
        return state.known;
      },
      takeBack: async () => calls.takeBack++ * 0,
    },
    log: createEventLog(createLog({ level: 'silent', format: 'json' })),
    ...{ owner: 'me', now: () => Date.now(), wall: () => Date.now(), monotonic: () => performance.now() },
    ...{ busy: () => state.busy, stopped: () => false },
    onDue: () => calls.due++,
    onLost: () => calls.lost++,
  });
  onTestFinished(heartbeat.close);
  return { heartbeat, calls, state };
}

test('a process with claims sends a sign of life every few seconds, an idle process writes nothing', async () => {
  const { calls, state, heartbeat } = start({ busy: false });
  await vi.advanceTimersByTimeAsync(29 * SECOND);
  expect([calls.beat, heartbeat.alive()]).toEqual([0, true]);
  state.busy = true;
  await vi.advanceTimersByTimeAsync(20 * SECOND);
  expect([calls.beat, heartbeat.alive()]).toEqual([4, true]);
});

test('a process whose signs of life cannot be stored claims nothing until one is stored', async () => {
  const { calls, state, heartbeat } = start();
  state.broken = true;
  await vi.advanceTimersByTimeAsync(20 * SECOND);
  expect(heartbeat.alive()).toBe(false);
  const before = calls.due;
  state.broken = false;
  await vi.advanceTimersByTimeAsync(5 * SECOND);
  expect([heartbeat.alive(), calls.due - before]).toEqual([true, 1]);
});

test('after a standstill, also one that only the wall clock shows, nothing is claimed before the next sign of life, which is sent at once', async () => {
  const { calls, heartbeat } = start();
  await vi.advanceTimersByTimeAsync(0);
  vi.setSystemTime(Date.now() + HOUR);
  expect(heartbeat.alive()).toBe(false);
  await vi.advanceTimersByTimeAsync(0);
  expect([heartbeat.alive(), calls.beat]).toEqual([true, 1]);
});

test('a process that counted as dead meanwhile is told', async () => {
  const { calls } = start({ known: false });
  await vi.advanceTimersByTimeAsync(5 * SECOND);
  expect(calls.lost).toBe(1);
});

test('attempts are broken off once, before a process that cannot give signs of life counts as dead', async () => {
  const { calls, state } = start();
  state.broken = true;
  await vi.advanceTimersByTimeAsync(15 * SECOND);
  expect(calls.lost).toBe(0);
  await vi.advanceTimersByTimeAsync(10 * SECOND);
  expect(calls.lost).toBe(1);
  await vi.advanceTimersByTimeAsync(20 * SECOND);
  expect(calls.lost).toBe(1);
});
