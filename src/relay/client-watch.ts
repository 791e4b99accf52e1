/** Keeps what clients do while somebody looks, and nothing otherwise: the console shows the first login of a new client. */
import { type ClientEvent, isOfClient } from '../control/control.ts';
import type { RelayEvent } from '../events/events.ts';
import { type Clock, MINUTE, systemClock } from '../system/clock.ts';

/** A look keeps the watch for so long. A page asks again each second. */
const WATCHED = 2 * MINUTE;
/** Events that are kept: some hundred sessions. */
const MOST = 2000;

export type ClientWatch = {
  observe(event: RelayEvent): void;
  /** What clients did since the first of the looks, the oldest first. Begins to watch. */
  look(): readonly ClientEvent[];
};

export function createClientWatch(now: Clock = systemClock): ClientWatch {
  let kept: ClientEvent[] = [];
  let until = 0;

  function isWatched(): boolean {
    if (until !== 0 && now() > until) {
      until = 0;
      kept = [];
    }
    return until !== 0;
  }

  return {
    observe(event) {
      if (until === 0 || !isOfClient(event) || !isWatched()) return;
      kept.push({ at: now(), event });
      if (kept.length > MOST) kept.shift();
    },
    look() {
      isWatched();
      until = now() + WATCHED;
      return kept;
    },
  };
}
