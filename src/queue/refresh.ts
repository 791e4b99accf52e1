/** Asks the store which destinations have due mail: rarely, for the answer costs more the more mail waits. */

import type { EventLog } from '../events/events.ts';
import type { MessageStore } from '../store/store.ts';
import type { Clock } from '../system/clock.ts';
import type { DueView } from './due-view.ts';

/** At most this often, and never more than a twentieth of the time. */
const SHORTEST_PAUSE = 100;
const COST_FACTOR = 20;
/** Other processes change the store too. */
const LONGEST_PAUSE = 30_000;
const FIRST_LIMIT = 1000;
const LARGEST_LIMIT = 65_536;

export function createRefresher(options: {
  store: Pick<MessageStore, 'due'>;
  log: EventLog;
  view: DueView;
  now: Clock;
  onAnswer: () => void;
  stopped: () => boolean;
}) {
  const { store, log, view, now, onAnswer, stopped } = options;
  const monotonic = () => performance.now();
  let running = false;
  let truncated = false;
  let limit = FIRST_LIMIT;
  let allowedAt = 0;
  /** In monotonic ms. */
  let wantedAt = 0;

  async function refresh(): Promise<void> {
    running = true;
    const { events } = view;
    const startedAt = monotonic();
    wantedAt = startedAt + LONGEST_PAUSE;
    try {
      const { due, nextAt } = await store.due(now(), limit);
      truncated = due.length >= limit;
      view.merge(due, !truncated, events);
      if (nextAt !== null) expect(nextAt);
    } catch (error) {
      if (!stopped()) log.emit('storeFailed', { operation: 'due', error });
      wantedAt = monotonic() + 1000;
    }
    running = false;
    const took = monotonic() - startedAt;
    allowedAt = monotonic() + Math.max(SHORTEST_PAUSE, COST_FACTOR * took);
    onAnswer();
  }

  /** Mail becomes due at `at`, by the wall clock. True: sooner than the next look. */
  function expect(at: number): boolean {
    const wanted = monotonic() + Math.max(at - now(), 0);
    if (wanted >= wantedAt) return false;
    wantedAt = wanted;
    return true;
  }

  return {
    expect,
    /** When the next look is due, in monotonic ms; never while one is under way. */
    get wantedAt() {
      return running ? Number.POSITIVE_INFINITY : Math.max(wantedAt, allowedAt);
    },
    refreshIfDue(): void {
      if (!running && monotonic() >= Math.max(wantedAt, allowedAt)) void refresh();
    },
    /** Look as soon as allowed. */
    forget(): void {
      wantedAt = 0;
    },
    /** All that the last answer named is served or has no room: what it left out is wanted. */
    wantMore(): void {
      if (!truncated || running) return;
      truncated = false;
      limit = Math.min(limit * 2, LARGEST_LIMIT);
      wantedAt = 0;
    },
  };
}
