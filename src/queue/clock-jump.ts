/**
 * Clocks jump. Forward: what became due is tried, and given up only after that try (decide.ts). Backward: what was to be tried
 * "in an hour" may now lie a year ahead. Nothing is ever planned farther ahead than the schedule's horizon, so what lies
 * farther is due at once; it is looked for at start and after each jump that the monotonic clock does not confirm.
 */
import type { MessageStore, RecipientState } from '../store/store.ts';
import type { Clock } from '../system/clock.ts';

const MINUTE = 60_000;
const PAGE = 500;
const WAITING: readonly RecipientState[] = ['queued', 'delayed', 'uncertain'];

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

/** Makes due what waits longer than `horizon` ms. @returns how many recipients. */
export async function retryFrozen(
  store: Pick<MessageStore, 'list' | 'retry'>,
  { now, horizon, stopped }: { now: number; horizon: number; stopped: () => boolean },
): Promise<number> {
  let retried = 0;
  let after: string | undefined;
  while (!stopped()) {
    const page = await store.list({ states: WAITING, limit: PAGE, ...(after === undefined ? {} : { after }) });
    const frozen = page.filter(({ recipients }) =>
      recipients.some(({ state, nextAttemptAt }) => WAITING.includes(state) && (nextAttemptAt ?? 0) > now + horizon),
    );
    if (frozen.length > 0) retried += (await store.retry({ ids: frozen.map(({ id }) => id) }, now)).length;
    if (page.length < PAGE) break;
    after = page.at(-1)?.id;
  }
  return retried;
}
