/** Finds messages and shows what happened to them. */
import { canonicalMailbox } from '../smtp/address.ts';
import type { BrowseQuery, StoreData } from '../store/store.ts';
import { iso, type ListedMessage, listedShape, type TracedMessage, traceShape } from './shapes.ts';
import { normalUserName } from './users.ts';

export type TraceControl = {
  /**
   * Searches by queue ID, by Message-ID (with or without angle brackets), or by the address of a recipient or sender in any spelling.
   * @returns the newest first, at most `limit`.
   */
  find(what: string, limit: number): Promise<readonly TracedMessage[]>;
  /** One page of messages that fit, the newest first. Rejects if the user has no possible name. */
  browse(query: BrowseQuery): Promise<ListedPage>;
};

/** `next`: the `before` of the next page. null: there is nothing older. `searchedBackTo`: null: to the oldest message. */
type ListedPage = {
  readonly items: readonly ListedMessage[];
  readonly next: string | null;
  readonly searchedBackTo: string | null;
};

export function createTraceControl({ messages }: Pick<StoreData, 'messages'>): TraceControl {
  return {
    async browse({ user, ...query }) {
      const named = user === undefined ? {} : { user: await normalUserName(user, 'user') };
      const { items, next, searchedBackTo } = await messages.browse({ ...query, ...named });
      return { items: items.map(listedShape), next, searchedBackTo: iso(searchedBackTo) };
    },
    async find(what, limit) {
      const found = await messages.find(what, limit);
      const address = canonicalMailbox(what);
      const respelt = found.length === 0 && address !== undefined && address !== what;
      return (respelt ? await messages.find(address, limit) : found).map(traceShape);
    },
  };
}
