/** Finds messages and shows what happened to them. */
import { canonicalMailbox } from '../smtp/address.ts';
import type { BrowsedMessage, BrowseQuery, RecipientPart, RecipientState, StoreData } from '../store/store.ts';
import { ControlError } from './control-error.ts';
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
  /** One message with these recipients and their attempts, and the reports about it. Rejects with `not found` if there is no such message. */
  show(id: string, part: RecipientPart): Promise<ShownMessage>;
};

type ShownMessage = TracedMessage & {
  /** Of all its recipients. */
  readonly states: BrowsedMessage['states'];
  /** The number of the first recipient that follows. null: there is none. */
  readonly next: number | null;
  /** What its sender was told, the oldest first. */
  readonly reports: readonly MessageReport[];
};

type MessageReport = {
  readonly id: string;
  readonly acceptedAt: string;
  readonly recipient: string;
  readonly state: RecipientState;
};

/** Reports that are shown with a message. A report has one recipient. */
const MOST_REPORTS = 100;

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
    async show(id, part) {
      const [message, { items: counted }, { items }] = await Promise.all([
        messages.get(id, part),
        messages.browse({ ids: [id], limit: 1 }),
        messages.browse({ about: id, after: id, limit: MOST_REPORTS }),
      ]);
      if (message === undefined) throw new ControlError('not found', 'message', `No message ${id}.`);
      const reports = items.toReversed().flatMap(({ id, acceptedAt, recipients: [to] }) => {
        return to === undefined ? [] : [{ id, acceptedAt: iso(acceptedAt), recipient: to.address, state: to.state }];
      });
      const states = counted[0]?.states ?? {};
      const count = Object.values(states).reduce((sum, one) => sum + one, 0);
      const end = part.from + part.limit;
      return { ...traceShape(message), states, next: end < count ? end : null, reports };
    },
    async find(what, limit) {
      const found = await messages.find(what, limit);
      const address = canonicalMailbox(what);
      const respelt = found.length === 0 && address !== undefined && address !== what;
      return (respelt ? await messages.find(address, limit) : found).map(traceShape);
    },
  };
}
