/** At start: what dead incarnations of this process had leased is due again. */
import type { MessageStore } from '../store/store.ts';
import type { Clock } from '../system/clock.ts';
import type { MailLog } from '../system/mail-log.ts';

const PAUSE = 1000;

export type TakeBackOptions = {
  readonly store: Pick<MessageStore, 'takeBack'>;
  readonly log: MailLog;
  readonly owner: string;
  readonly now: Clock;
  readonly stopped: () => boolean;
};

/** Asks until the store answers. Never rejects; resolves when the leases are free, or the process ends. */
export async function takeBack({ store, log, owner, now, stopped }: TakeBackOptions): Promise<void> {
  while (!stopped()) {
    try {
      const recipients = await store.takeBack(owner, now());
      if (recipients > 0) log.event.warn('takenBack', { recipients });
      return;
    } catch (error) {
      log.event.error('storeFailed', { operation: 'takeBack', error });
      await new Promise((resolve) => setTimeout(resolve, PAUSE).unref());
    }
  }
}
