/** One line in the log for each day that a provider refuses our address. The mail about it is sent once, and is forgotten easily. */
import type { BlockNews, Delivery } from '../delivery/delivery.ts';
import type { EventLog } from '../events/events.ts';
import { replyLine } from '../smtp/reply.ts';
import type { MessageStore } from '../store/store.ts';
import { type Clock, DAY } from '../system/clock.ts';

type BlockDaysOptions = {
  readonly delivery: Pick<Delivery, 'blocks'>;
  readonly messages: Pick<MessageStore, 'heldByProvider'>;
  readonly log: EventLog;
  readonly now: Clock;
};

/** @returns looks at the blocks. Called at least each hour; rejects where the store fails. */
export function createBlockDays({ delivery, messages, log, now }: BlockDaysOptions): () => Promise<void> {
  /** When the last line was written, or the block was first seen. */
  let toldAt: ReadonlyMap<string, number> = new Map();
  return async () => {
    const at = now();
    const blocks = new Map(delivery.blocks().map((block) => [keyOf(block), block]));
    const due = [...blocks].filter(([key]) => at - (toldAt.get(key) ?? at) >= DAY);
    toldAt = new Map([...blocks.keys()].map((key) => [key, due.some(([one]) => one === key) ? at : (toldAt.get(key) ?? at)]));
    if (due.length === 0) return;
    const held = new Map((await messages.heldByProvider()).map(({ provider, recipients }) => [provider, recipients]));
    for (const [, { provider, way, cause }] of due) {
      log.emit('providerStillBlocked', {
        ...{ provider, address: way.source ?? `IPv${way.family}`, class: cause?.class ?? 'unknown' },
        ...{ reply: cause === undefined ? '' : replyLine(cause.reply), held: held.get(provider) ?? 0 },
      });
    }
  };
}

function keyOf({ provider, way }: BlockNews): string {
  return `${provider} ${way.family} ${way.source ?? ''}`;
}
