/**
 * How much one MX host set gets at a time: behaviour rule 17. It starts with two sessions, gains one with each clean delivery,
 * halves when the hosts ask for less, and rests after a failure: a minute at first, doubling to an hour. After a rest one
 * attempt goes first.
 */
import { HOUR, MINUTE } from '../system/clock.ts';
import type { PaceEffect } from './verdict.ts';

export type PaceState = {
  /** Sessions at a time. */
  readonly limit: number;
  /** Rests in a row, without a clean delivery between them. */
  readonly failures: number;
  /** Milliseconds since the epoch; in the past: open. */
  readonly blockedUntil: number;
  /** Requests for less in a row. */
  readonly slowed: number;
};

export const START: PaceState = { limit: 2, failures: 0, blockedUntil: 0, slowed: 0 };

const MAX_REST = HOUR;
/** So many in a row are more than bad luck of single messages. */
const SLOWED_TO_REST = 5;
const REST_WHEN_SLOWED = MINUTE;

/**
 * No rest is longer than an hour: one that seems to be was begun by a clock that has been set back, and is over. It would stop
 * good mail for as long as the clock had been wrong.
 */
export function isResting({ blockedUntil }: PaceState, now: number): boolean {
  return blockedUntil > now && blockedUntil <= now + MAX_REST;
}

/** The state after an attempt. @param max the configured concurrency. */
export function paced(state: PaceState, effect: PaceEffect, { now, max }: { now: number; max: number }): PaceState {
  const { limit, failures, slowed } = state;
  const resting = isResting(state, now);
  switch (effect) {
    case 'clean':
      // What succeeds while others fail does not end a rest; what succeeds after it does.
      if (resting) return state;
      return limit >= max && failures === 0 && slowed === 0
        ? state
        : { limit: Math.min(limit + 1, max), failures: 0, blockedUntil: 0, slowed: 0 };
    case 'slow': {
      const half = Math.max(1, Math.floor(limit / 2));
      if (slowed + 1 < SLOWED_TO_REST) return { ...state, limit: half, slowed: slowed + 1 };
      return {
        ...state,
        limit: half,
        slowed: 0,
        blockedUntil: Math.max(resting ? state.blockedUntil : 0, now + REST_WHEN_SLOWED),
      };
    }
    case 'block':
      // Sessions that were under way together fail together: that is one failure.
      if (resting) return state;
      return {
        limit: Math.max(1, Math.floor(limit / 2)),
        failures: failures + 1,
        blockedUntil: now + Math.min(MINUTE * 2 ** failures, MAX_REST),
        slowed: 0,
      };
    case 'alive':
      return failures > 0 && !resting ? { ...state, failures: 0 } : state;
    case 'none':
      return state;
  }
}

/** Sessions that may run now. */
export function allowed(state: PaceState, now: number): number {
  if (isResting(state, now)) return 0;
  return state.failures > 0 ? 1 : state.limit;
}

/** Attempts that may run or wait in memory: enough that the next is at hand when one ends, so few that others are not hurt. */
export function capacity(state: PaceState, now: number): number {
  if (isResting(state, now)) return 0;
  return state.failures > 0 ? 2 : Math.max(8, 4 * state.limit);
}
