import { describe, expect, test } from 'vitest';
import { horizon, nextAttempt } from '../../../src/queue/schedule.ts';
import { HOUR, MINUTE } from '../../../src/system/clock.ts';
import { SCHEDULE } from '../../support/queue-rig.ts';

describe('RFC 5321 §4.5.4.1', () => {
  test.each([
    [1, 5 * MINUTE],
    [2, 15 * MINUTE],
    [3, 30 * MINUTE],
    [4, HOUR],
    [5, 2 * HOUR],
    [6, 4 * HOUR],
    [7, 4 * HOUR],
    [40, 4 * HOUR],
  ])('after attempt %i the pause is %i ms, a tenth less or more', (attempts, pause) => {
    const at = (random: number) => nextAttempt(SCHEDULE, { attempts, now: 1e12, random }) - 1e12;
    expect(at(0.5)).toBe(pause);
    expect(at(0)).toBe(pause * 0.9);
    expect(at(1)).toBeCloseTo(pause * 1.1, 0);
  });

  test('a back-off that ends later moves the attempt, one that ends sooner does not', () => {
    const at = (notBefore: number) => nextAttempt(SCHEDULE, { attempts: 1, now: 0, random: 0.5, notBefore });
    expect(at(HOUR)).toBe(HOUR);
    expect(at(MINUTE)).toBe(5 * MINUTE);
  });

  test('no pause is longer than the horizon', () => {
    expect(horizon(SCHEDULE)).toBeCloseTo(4.4 * HOUR, 0);
    expect(horizon({ ...SCHEDULE, retry: [1000] })).toBeCloseTo(1.1 * HOUR, 0);
  });

  test('an empty list of pauses tries every hour', () => {
    expect(nextAttempt({ ...SCHEDULE, retry: [] }, { attempts: 1, now: 0, random: 0.5 })).toBe(HOUR);
  });
});
