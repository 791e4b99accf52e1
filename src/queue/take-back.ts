/** At start: what dead incarnations of this process had leased is due again. */

import type { EventLog } from '../events/events.ts';
import type { MessageStore } from '../store/store.ts';
import type { Clock } from '../system/clock.ts';

const PAUSE = 1000;

type TakeBackOptions = {
  readonly store: Pick<MessageStore, 'takeBack'>;
  readonly log: EventLog;
  readonly owner: string;
  readonly now: Clock;
  readonly stopped: () => boolean;
};

/** Asks until the store answers. Never rejects; resolves when the leases are free, or the process ends. */
export async function takeBackLeases({ store, log, owner, now, stopped }: TakeBackOptions): Promise<void> {
  while (!stopped()) {
    try {
      const recipients = await store.takeBack(owner, now());
      if (recipients > 0) log.emit('takenBack', { recipients });
      return;
    } catch (error) {
      log.emit('storeFailed', { operation: 'takeBack', error });
      await new Promise((resolve) => setTimeout(resolve, PAUSE).unref());
    }
  }
}
