/** A word to the operator: a message of our own, signed as our reports are, and queued as any other. RFC 3834 §5 */
import { discard, type Preparation, type PreparationRequest } from '../preparation/preparation.ts';
import type { AddRequest, Queue } from '../queue/queue.ts';
import type { Envelope } from '../smtp/envelope.ts';
import { newQueueId } from '../smtp/queue-id.ts';
import { clean, formatDate, isAscii, wrap } from '../smtp/text.ts';
import { type Clock, systemClock } from '../system/clock.ts';
import type { MailLog } from '../system/mail-log.ts';

export type NoticeOptions = {
  readonly hostname: string;
  /** Address of the From field. */
  readonly from: string;
  /** Who is told. */
  readonly operator: string;
  readonly preparation: { start(request: PreparationRequest): Preparation };
  readonly queue: Pick<Queue, 'add'>;
  /** How long it is tried, ms. */
  readonly lifetime: number;
  readonly destinationOf: (message: { user: string | null; reversePath: string }, address: string) => string;
  readonly signs: (message: { user: string | null; reversePath: string }, address: string) => boolean;
  readonly log: MailLog;
  readonly now?: Clock;
};

/** What it says. Lines may be long: they are wrapped. */
export type Notice = { readonly subject: string; readonly lines: readonly string[] };

/** No report comes back for it: it is sent from the null reverse-path. */
const OURS = { user: null, reversePath: '' } as const;

/** Resolves when it is stored. Rejects where it cannot be. */
export async function sendNotice(notice: Notice, options: NoticeOptions): Promise<void> {
  const { operator: address, queue, lifetime, destinationOf, log, now = systemClock } = options;
  const at = now();
  const id = newQueueId(at);
  const { content, size, messageId, signatures, needsSmtpUtf8, eightBit } = await prepare(notice, id, at, options);
  const message: AddRequest['message'] = {
    ...{ id, ...OURS, messageId, size, needsSmtpUtf8, signatures, content },
    acceptedAt: at,
    expiresAt: at + lifetime,
    body: eightBit ? '8BITMIME' : '7BIT',
    recipients: [{ address, destination: destinationOf(OURS, address), notify: ['NEVER'] }],
  };
  const added = await queue.add({ message, discard: () => discard(content) });
  const queueId = added.accepted ? added.id : id;
  log.accepted({ queueId, ...OURS, recipients: [address], size, messageId, signatures });
}

async function prepare(notice: Notice, queueId: string, now: number, options: NoticeOptions) {
  const { hostname, from, operator, preparation, signs } = options;
  const envelope: Envelope = {
    reversePath: '',
    recipients: [{ address: operator }],
    body: '8BITMIME',
    smtpUtf8: !isAscii(operator),
  };
  const running = preparation.start({ queueId, now, envelope, kind: 'report', sign: signs(OURS, operator) });
  try {
    await running.write(compose(notice, { hostname, from, to: operator, id: queueId, now }));
    return await running.finish();
  } catch (error) {
    await running.abort();
    throw error;
  }
}

type Head = { readonly hostname: string; readonly from: string; readonly to: string; readonly id: string; readonly now: number };

function compose({ subject, lines }: Notice, { hostname, from, to, id, now }: Head): Buffer {
  const body = lines.flatMap((line) => (line.startsWith(' ') ? [line] : wrap(clean(line), '')));
  const fields = [
    ['From', `${hostname} <${from}>`],
    ['To', `<${to}>`],
    ['Subject', clean(subject, { ascii: true, max: 200 })],
    ['Date', formatDate(now)],
    ['Message-ID', `<${id}@${hostname}>`],
    ['Auto-Submitted', 'auto-generated'],
    ['MIME-Version', '1.0'],
    ['Content-Type', 'text/plain; charset=utf-8'],
    ['Content-Transfer-Encoding', body.every(isAscii) ? '7bit' : '8bit'],
  ] as const;
  const all = [...fields.flatMap(([name, value]) => wrap(`${name}: ${value}`, ' ')), '', ...body];
  return Buffer.from(all.map((line) => `${line}\r\n`).join(''));
}
