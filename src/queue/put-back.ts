/** After a restore of the database: what it has forgotten, and is still in the hands of this process, is stored again. */
import type { EventLog } from '../events/events.ts';
import type { Outcome } from '../smtp/outcome.ts';
import type { Claim, RestoredStore } from '../store/store.ts';
import type { Attempts } from './attempts.ts';

const PAUSE = 1000;

type PutBackOptions = {
  readonly restored: RestoredStore;
  readonly log: EventLog;
  readonly attempts: Pick<Attempts, 'inHand' | 'settleAfter'>;
  readonly stopped: () => boolean;
};

type Forgotten = Parameters<RestoredStore['putBack']>[0];

/** Attempts that are under way go on. What they relay ends in the store too, because it has the message again. */
export function startPuttingBack({ restored, log, attempts, stopped }: PutBackOptions): void {
  restored.onWentBack(() => {
    const { whole, bodiless } = messagesOf(attempts.inHand);
    for (const one of bodiless) void nameLost(one);
    // What is relayed meanwhile must find the message.
    for (const one of whole) attempts.settleAfter(one.message.id, putBack(one));
  });

  async function putBack(one: Forgotten): Promise<void> {
    const isForgotten = await untilAnswered(() => restored.putBack(one));
    if (isForgotten) log.emit('putBack', { queueId: one.message.id, recipients: one.recipients.length });
  }

  /** A large body is in the database, and in no memory. */
  async function nameLost({ message, recipients }: Pick<Claim, 'message' | 'recipients'>): Promise<void> {
    const isForgotten = await untilAnswered(() => restored.lacks(message.id));
    if (isForgotten) log.emit('notPutBack', { queueId: message.id, recipients: recipients.map(({ address }) => address) });
  }

  /** @returns undefined: the process stops. */
  async function untilAnswered<T>(ask: () => Promise<T>): Promise<T | undefined> {
    for (;;) {
      try {
        return await ask();
      } catch (error) {
        log.emit('storeFailed', { operation: 'putBack', error });
        if (stopped()) return undefined;
        await new Promise((resolve) => setTimeout(resolve, PAUSE).unref());
      }
    }
  }
}

/** Claims of one message come together, because the message is stored once. What was relayed has left. */
function messagesOf(inHand: ReadonlyMap<Claim, readonly Outcome[] | undefined>) {
  const whole = new Map<string, Forgotten>();
  const bodiless: Claim[] = [];
  for (const [claim, outcomes] of inHand) {
    const { message, content } = claim;
    const recipients = claim.recipients.filter((_, i) => outcomes?.[i]?.kind !== 'relayed');
    if (recipients.length === 0) continue;
    if (content.kind !== 'inline') {
      bodiless.push({ ...claim, recipients });
      continue;
    }
    const others = whole.get(message.id)?.recipients ?? [];
    whole.set(message.id, { message, content, recipients: [...others, ...recipients].toSorted((a, b) => a.n - b.n) });
  }
  return { whole: whole.values(), bodiless };
}
