/**
 * A store that fails may have done what it was asked for all the same: its thread can end between commit and answer, and what a
 * failed sync has written may count at the next opening. Such a claim would stay leased to a process that lives. So
 * a claim without an answer is given back, and a message whose client heard 451 is withdrawn, for the client sends it again. Id and
 * token name it, because another message may have the id. Its body stays until then: a crash in between leaves the message as a
 * whole, not an envelope without a body.
 */

import type { EventLog } from '../events/events.ts';
import type { ClaimLease, MessageStore } from '../store/store.ts';
import type { Clock } from '../system/clock.ts';

const PAUSE = 1000;

/** `discard` removes the body; it never rejects. */
type Lost = { readonly id: string; readonly token: number; readonly discard: () => Promise<void> };

export type LostAnswers = ReturnType<typeof createLostAnswers>;

export function createLostAnswers(options: {
  store: Pick<MessageStore, 'giveBack' | 'withdraw'>;
  log: EventLog;
  now: Clock;
  /** From then on the next start does what fails. */
  stopped: () => boolean;
  /** Mail is due again. */
  onGivenBack: () => void;
}) {
  const { store, log, now, stopped, onGivenBack } = options;
  const leases = new Set<ClaimLease>();
  let messages: readonly Lost[] = [];
  let mending = false;

  async function withdraw(): Promise<void> {
    const lost = messages;
    if (lost.length === 0) return;
    await store.withdraw(lost, now());
    messages = messages.filter((one) => !lost.includes(one));
    for (const { discard } of lost) await discard();
  }

  async function giveBack(): Promise<void> {
    for (const lease of [...leases]) {
      const recipients = await store.giveBack(lease, now());
      leases.delete(lease);
      if (recipients === 0) continue;
      log.emit('givenBack', { recipients });
      onGivenBack();
    }
  }

  /** Asks until the store answers, or once where the process ends. Never rejects. */
  async function mend(): Promise<void> {
    if (mending) return;
    mending = true;
    while (messages.length + leases.size > 0) {
      let operation = 'withdraw';
      try {
        await withdraw();
        operation = 'giveBack';
        await giveBack();
      } catch (error) {
        log.emit('storeFailed', { operation, error });
        if (stopped()) break;
        await new Promise((resolve) => setTimeout(resolve, PAUSE).unref());
      }
    }
    mending = false;
  }

  return {
    /** The store has not said whether it leased anything under this name. */
    claimLost(lease: ClaimLease): void {
      leases.add(lease);
      void mend();
    },
    /** The client was told that this message is not accepted. */
    messageLost(lost: Lost): void {
      messages = [...messages, lost];
      void mend();
    },
  };
}
