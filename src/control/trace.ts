/** Finds messages and shows what happened to them. */
import { canonicalMailbox } from '../smtp/address.ts';
import type { StoreData } from '../store/store.ts';
import { type TracedMessage, traceShape } from './shapes.ts';

export type TraceControl = {
  /**
   * Searches by queue ID, by Message-ID (with or without angle brackets), or by the address of a recipient or sender in any spelling.
   * @returns the newest first, at most `limit`.
   */
  find(what: string, limit: number): Promise<readonly TracedMessage[]>;
};

export function createTraceControl({ messages }: Pick<StoreData, 'messages'>): TraceControl {
  return {
    async find(what, limit) {
      const found = await messages.find(what, limit);
      const address = canonicalMailbox(what);
      const respelt = found.length === 0 && address !== undefined && address !== what;
      return (respelt ? await messages.find(address, limit) : found).map(traceShape);
    },
  };
}
