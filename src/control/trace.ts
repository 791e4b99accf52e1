/** What became of a message. */
import { canonicalMailbox } from '../smtp/address.ts';
import type { Store } from '../store/store.ts';
import { type TracedMessage, traceShape } from './shapes.ts';

export type TraceControl = {
  /**
   * By queue ID, Message-ID (with or without angle brackets), or the address of a recipient or sender, also by another spelling of it.
   * @returns the newest first, at most `limit`.
   */
  find(what: string, limit: number): Promise<readonly TracedMessage[]>;
};

export function createTraceControl({ messages }: Pick<Store, 'messages'>): TraceControl {
  return {
    async find(what, limit) {
      const found = await messages.find(what, limit);
      const address = canonicalMailbox(what);
      const respelt = found.length === 0 && address !== undefined && address !== what;
      return (respelt ? await messages.find(address, limit) : found).map(traceShape);
    },
  };
}
