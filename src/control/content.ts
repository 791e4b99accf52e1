/** The bytes of queued mail: its header, or all of it. */
import type { Content } from '../store/store.ts';
import { ControlError } from './control-error.ts';
import { noteOf, type Parts } from './parts.ts';

export type ContentControl = {
  /** The header as it leaves, at most 256 KiB of it. Rejects with `not found` if the message has ended, and its bytes are gone. */
  header(id: string): Promise<string>;
  /** The whole message as it leaves. A row of `changes` says who has read it, before the first piece. Rejects as `header` does. */
  raw(id: string): Promise<AsyncIterable<Uint8Array>>;
};

const MOST_HEADER = 256 * 1024;

export function createContentControl({ store, now, by }: Pick<Parts<never>, 'store' | 'now' | 'by'>): ContentControl {
  async function existing(id: string): Promise<Content> {
    const content = await store.messages.content(id);
    if (content !== undefined) return content;
    throw new ControlError('not found', 'message', `No message ${id} waits: the bytes of what has ended are gone.`);
  }

  return {
    async header(id) {
      const content = await existing(id);
      const bytes = Buffer.from(content.kind === 'inline' ? content.bytes : content.prefix);
      const end = bytes.indexOf('\r\n\r\n');
      const header = end < 0 ? bytes : bytes.subarray(0, end + 2);
      return header.subarray(0, MOST_HEADER).toString('utf8').toWellFormed();
    },
    async raw(id) {
      const content = await existing(id);
      return wholeOf(content, () => store.audit.add(noteOf({ action: 'mail.read', target: id }, by, now())));
    },
  };
}

async function* wholeOf(content: Content, note: () => Promise<void>): AsyncGenerator<Uint8Array> {
  await note();
  if (content.kind === 'inline') return void (yield content.bytes);
  yield content.prefix;
  yield* content.spool.read();
}
