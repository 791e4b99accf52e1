/** Our own mail to a sender: from the null reverse-path, prepared and signed as any other message. RFC 5321 §4.5.5 */
import type { Preparation, PreparationRequest } from '../preparation/preparation.ts';
import type { Envelope } from '../smtp/envelope.ts';
import { isAscii } from '../smtp/text.ts';
import type { NewMessage } from '../store/store.ts';

export type OwnMailOptions = {
  readonly preparation: { start(request: PreparationRequest): Preparation };
  /** How long it is tried, ms. */
  readonly reportLifetime: number;
  readonly destinationOf: (message: { user: string | null; reversePath: string }, address: string) => string;
  /** False: the route of its recipient asks for no signature of ours. */
  readonly signs: (message: { user: string | null; reversePath: string }, address: string) => boolean;
};

export type OwnMail = OwnMailOptions & { readonly id: string; readonly to: string; readonly now: number };

const OURS = { user: null, reversePath: '' } as const;

/** @returns what can be stored. Rejects where it cannot be prepared, as without a key that must sign. */
export async function prepareOwn(bytes: Buffer, { id, to, now, ...options }: OwnMail): Promise<NewMessage> {
  const envelope: Envelope = { reversePath: '', recipients: [{ address: to }], body: '8BITMIME', smtpUtf8: !isAscii(to) };
  const running = options.preparation.start({ queueId: id, now, envelope, kind: 'report', sign: options.signs(OURS, to) });
  try {
    await running.write(bytes);
    const { content, size, messageId, signatures, needsSmtpUtf8, eightBit } = await running.finish();
    return {
      ...{ id, ...OURS, messageId, size, needsSmtpUtf8, signatures, content },
      acceptedAt: now,
      expiresAt: now + options.reportLifetime,
      body: eightBit ? '8BITMIME' : '7BIT',
      recipients: [{ address: to, destination: options.destinationOf(OURS, to), notify: ['NEVER'] }],
    };
  } catch (error) {
    await running.abort();
    throw error;
  }
}
