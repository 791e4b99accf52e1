/**
 * Clocks jump. Forward: what became due is tried, and given up only after that try (decide.ts). Backward: what was to be tried
 * "in an hour" may now lie a year ahead. Nothing is ever planned farther ahead than the schedule's horizon, so what lies
 * farther is due at once; it is looked for at start and after each jump that the monotonic clock does not confirm.
 */
import type { Clock } from '../system/clock.ts';

const MINUTE = 60_000;

/** @returns a function that tells by how many ms the wall clock has jumped since it was last asked; 0 below a minute. */
export function watchClock(wall: Clock, monotonic: () => number): () => number {
  let lastWall = wall();
  let lastMonotonic = monotonic();
  return () => {
    const jump = wall() - lastWall - (monotonic() - lastMonotonic);
    lastWall = wall();
    lastMonotonic = monotonic();
    return Math.abs(jump) >= MINUTE ? jump : 0;
  };
}
