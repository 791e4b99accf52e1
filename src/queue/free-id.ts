/** Stores a message under a queue ID that no other message has. */
import { randomInt } from 'node:crypto';
import { anotherQueueId } from '../smtp/queue-id.ts';
import type { AcceptRequest, AcceptResult, Content, MessageStore, NewMessage } from '../store/store.ts';
import type { Clock } from '../system/clock.ts';

/** Of a store that calls every id taken. */
const MOST_TRIES = 10;

/** Names one try to store one message: with the id it is never taken for another message. */
const newToken = (): number => randomInt(2 ** 48 - 1);

type Judged = Exclude<AcceptResult, { readonly idTaken: true }>;
type AcceptOptions = {
  readonly store: Pick<MessageStore, 'accept'>;
  readonly now: Clock;
  /** The store failed. It may hold this message all the same. */
  readonly onLost?: (message: NewMessage) => void;
};

/** @returns the message as it was stored: its id is another one where its own was taken. Rejects when the store fails. */
export async function acceptUnderFreeId(
  request: AcceptRequest,
  { store, now, onLost }: AcceptOptions,
): Promise<{ readonly message: NewMessage; readonly result: Judged }> {
  let message: NewMessage = { ...request.message, token: newToken() };
  for (let tries = 0; tries < MOST_TRIES; tries++) {
    const result = await accept(message);
    if (!('idTaken' in result)) return { message, result };
    message = renamed({ ...message, content: result.content }, anotherQueueId(now()));
  }
  throw new Error(`The store holds another message under each of ${MOST_TRIES} new queue IDs`);

  async function accept(given: NewMessage): Promise<AcceptResult> {
    try {
      return await store.accept({ ...request, message: given });
    } catch (error) {
      onLost?.(given);
      throw error;
    }
  }
}

/**
 * The same message under another id. The Received field in front tells the id (RFC 5321 §4.4); no signature covers it, so the new
 * one is written over the old one. A Message-ID that we made keeps the old one: our signature covers it, and its random part makes it
 * unique.
 */
export function renamed<M extends NewMessage>(message: M, id: string): M {
  return { ...message, id, content: renamedContent(message.content, message.id, id) };
}

function renamedContent(content: Content, from: string, to: string): Content {
  if (from.length !== to.length) return content;
  const bytes = content.kind === 'inline' ? content.bytes : content.prefix;
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const at = view.subarray(0, endOfField(view)).indexOf(`id ${from}`, 0, 'latin1');
  if (at === -1) return content;
  const own = new Uint8Array(bytes);
  own.set(Buffer.from(to, 'latin1'), at + 'id '.length);
  return content.kind === 'inline' ? { kind: 'inline', bytes: own } : { ...content, prefix: own };
}

/** Where the first field ends: at a line end that no blank follows. RFC 5322 §2.2.3 */
function endOfField(bytes: Buffer): number {
  for (let end = bytes.indexOf('\r\n'); end !== -1; end = bytes.indexOf('\r\n', end + 2)) {
    const next = bytes[end + 2];
    if (next !== 0x20 && next !== 0x09) return end;
  }
  return bytes.length;
}
