/** A word to the operator: a message of our own, signed as our reports are, and queued as any other. */
import type { EventLog } from '../events/events.ts';
import { discard, type OwnMailOptions, prepareOwnMail, textContent } from '../preparation/preparation.ts';
import type { Queue } from '../queue/queue.ts';
import { newQueueId } from '../smtp/queue-id.ts';
import { type Clock, systemClock } from '../system/clock.ts';

type NoticeOptions = OwnMailOptions & {
  /** Address of the From field. */
  readonly from: string;
  /** The address that is told. */
  readonly operator: string;
  readonly queue: Pick<Queue, 'add'>;
  /** How long it is tried, ms. */
  readonly lifetime: number;
  readonly log: EventLog;
  /** Of its message in the queue; absent: a new one. */
  readonly id?: string | undefined;
  readonly now?: Clock;
};

/** What it says. Lines may be long: they are wrapped. */
export type OperatorNotice = { readonly subject: string; readonly lines: readonly string[] };

/** Resolves when it is stored. Rejects where it cannot be. No report comes back for it. */
export async function sendNotice({ subject, lines }: OperatorNotice, options: NoticeOptions): Promise<void> {
  const { hostname, from, operator, queue, lifetime, log, now = systemClock } = options;
  const at = now();
  const mail = {
    ...{
      id: options.id ?? newQueueId(at),
      now: at,
      lifetime,
      reversePath: '',
      to: operator,
      subject,
      content: textContent(lines),
    },
    from: { name: hostname, address: from },
    autoSubmitted: 'auto-generated',
  } as const;
  const message = await prepareOwnMail(mail, options);
  const added = await queue.add({ message, discard: () => discard(message.content) });
  const { user, reversePath, size, messageId, signatures } = message;
  log.emit('accepted', {
    queueId: added.accepted ? added.id : message.id,
    user,
    reversePath,
    recipients: [operator],
    size,
    messageId,
    signatures,
  });
}
