import { expect, test } from 'vitest';
import { allowed, capacity, type PaceState, paced, START } from '../../../src/delivery/host-set.ts';
import type { PaceEffect } from '../../../src/delivery/verdict.ts';
import { HOUR, MINUTE } from '../../../src/system/clock.ts';

function after(effects: readonly PaceEffect[], { from = START, now = 0, max = 20 } = {}): PaceState {
  return effects.reduce((state, effect) => paced(state, effect, { now, max }), from);
}

test('a host set starts with two sessions and grows to the limit with clean deliveries', () => {
  expect(allowed(START, 0)).toBe(2);
  expect(allowed(after(['clean']), 0)).toBe(3);
  expect(allowed(after(Array(100).fill('clean')), 0)).toBe(20);
});

test('a failure halves, rests for a minute, and one attempt goes first afterwards', () => {
  const state = after(['block'], { from: { ...START, limit: 20 } });
  expect(state).toMatchObject({ limit: 10, failures: 1, blockedUntil: MINUTE });
  expect(allowed(state, MINUTE - 1)).toBe(0);
  expect(capacity(state, MINUTE - 1)).toBe(0);
  expect(allowed(state, MINUTE)).toBe(1);
  const again = after(['clean'], { from: state, now: MINUTE });
  expect(allowed(again, MINUTE)).toBe(11);
});

test('rests double to an hour', () => {
  let state = START;
  const rests: number[] = [];
  for (let i = 0; i < 9; i++) {
    const now = state.blockedUntil;
    state = paced(state, 'block', { now, max: 20 });
    rests.push((state.blockedUntil - now) / MINUTE);
  }
  expect(rests).toEqual([1, 2, 4, 8, 16, 32, 60, 60, 60]);
  expect(state.blockedUntil).toBeGreaterThan(HOUR);
});

test('sessions that fail together are one failure, and one that succeeds meanwhile does not end the rest', () => {
  const state = after(['block', 'block', 'block', 'clean'], { from: { ...START, limit: 20 } });
  expect(state).toMatchObject({ limit: 10, failures: 1, blockedUntil: MINUTE });
});

test('requests for less halve the limit, and five in a row are a rest', () => {
  expect(after(['slow'], { from: { ...START, limit: 20 } })).toMatchObject({ limit: 10, blockedUntil: 0 });
  expect(after(['slow', 'slow', 'clean', 'slow', 'slow', 'slow', 'slow'])).toMatchObject({ blockedUntil: 0 });
  expect(after(['slow', 'slow', 'slow', 'slow', 'slow'])).toMatchObject({ blockedUntil: MINUTE, failures: 0 });
});

test('a host that answers the first attempt after a rest is trusted again, whatever it says to the recipient', () => {
  const state = after(['block']);
  expect(allowed(after(['alive'], { from: state, now: MINUTE }), MINUTE)).toBe(1);
  expect(after(['alive'], { from: state, now: MINUTE }).failures).toBe(0);
  expect(after(['none'], { from: state, now: MINUTE })).toBe(state);
});

test('the limit never leaves 1 to the configured concurrency', () => {
  expect(after(Array(50).fill('slow')).limit).toBe(1);
  expect(after(['clean', 'clean'], { max: 3 }).limit).toBe(3);
});

test('a rest that a clock set back has put far ahead is over', () => {
  const state = after(['block'], { from: { ...START, limit: 20 }, now: 365 * 24 * HOUR });
  expect(allowed(state, 0)).toBe(1);
  expect(capacity(state, 0)).toBeGreaterThan(0);
  expect(after(['clean'], { from: state })).toMatchObject({ failures: 0, blockedUntil: 0 });
  expect(after(['block'], { from: state })).toMatchObject({ failures: 2, blockedUntil: 2 * MINUTE });
});
