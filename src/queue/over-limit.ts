/**
 * Mail that was accepted over a limit leaves as the limit allows, the oldest first, without a command. Mail that still waits when its
 * lifetime is over is returned to its sender with that reason. Behaviour rule 7.
 */

import type { EventLog } from '../events/events.ts';
import type { Limit } from '../smtp/limit.ts';
import type { MessageStore, OverLimit } from '../store/store.ts';
import { type Clock, HOUR, SECOND } from '../system/clock.ts';

const PAUSE = 10 * SECOND;
/** How long mail is overdue before it is given up: a clock that is wrong for a moment returns nothing. */
const GRACE = HOUR;

type OverLimitOptions = {
  readonly store: Pick<MessageStore, 'overLimit' | 'releaseOverLimit'>;
  readonly log: Pick<EventLog, 'emit'>;
  /** What holds for a user now; undefined: nothing of it may leave by itself. */
  readonly limitsOf: (user: string) => Promise<readonly Limit[] | undefined>;
  /** Never rejects. */
  readonly giveUp: (message: OverLimit['expired'][number]) => Promise<void>;
  readonly onReleased: () => void;
  readonly now: Clock;
  /** Milliseconds that no jump of the clock changes. */
  readonly monotonic?: Clock;
};

export function startOverLimit(options: OverLimitOptions) {
  const { store, log, limitsOf, giveUp, onReleased, now, monotonic = () => performance.now() } = options;
  /** Since when each message was seen to be overdue. */
  const overdue = new Map<string, number>();
  let running: Promise<void> | undefined;
  let again = false;
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;

  function kick(): void {
    again = true;
    if (stopped || running !== undefined) return;
    clearTimeout(timer);
    running = look().finally(() => {
      running = undefined;
    });
  }

  async function look(): Promise<void> {
    let waiting = true;
    while (again && !stopped) {
      again = false;
      try {
        waiting = await lookOnce();
      } catch (error) {
        log.emit('storeFailed', { operation: 'overLimit', error });
      }
    }
    if (waiting && !stopped) timer = setTimeout(kick, PAUSE).unref();
  }

  /** @returns whether something may still wait. */
  async function lookOnce(): Promise<boolean> {
    const { users } = await store.overLimit(now());
    for (const user of users) await release(user);
    const { users: left, expired } = await store.overLimit(now());
    for (const id of overdue.keys()) if (!expired.some((message) => message.id === id)) overdue.delete(id);
    for (const message of expired) {
      const since = overdue.get(message.id) ?? monotonic();
      overdue.set(message.id, since);
      if (monotonic() - since >= GRACE) await giveUp(message);
    }
    return left.length > 0;
  }

  async function release(user: string): Promise<void> {
    const list = (await limitsOf(user)) ?? null;
    for (let more = true; more && !stopped; ) {
      const step = await store.releaseOverLimit({ user, list, now: now() });
      for (const { id, recipient } of step.released) log.emit('released', { queueId: id, recipient });
      if (step.released.length > 0) onReleased();
      more = step.more;
    }
  }

  kick();
  return {
    /** Something is held, or what is held may leave. */
    kick,
    stop(): Promise<void> {
      stopped = true;
      clearTimeout(timer);
      return running ?? Promise.resolve();
    },
  };
}
