/** The queued mail, and the actions on it. */
import type { Route } from '../smtp/route.ts';
import type { MessageStore, OnStep, QueueGroupQuery, RecipientState, Selection, Touched } from '../store/store.ts';
import { ControlError, refuseFaults } from './control-error.ts';
import type { Parts } from './parts.ts';
import { type QueueAction, type Unchanged, unchangedOf } from './queue-unchanged.ts';
import {
  groupShape,
  iso,
  messageShape,
  type QueuedGroup,
  type QueuedMessage,
  type QueueSummary,
  summaryShape,
  type TracedMessage,
  traceShape,
} from './shapes.ts';
import { normalUserName } from './users.ts';

export type QueueSettings = { readonly routes: readonly Route[] };

/** Selects messages with a matching recipient. An empty filter selects all that have not ended. */
type QueueFilter = {
  /** As lower-case A-labels. */
  readonly domain?: string;
  readonly user?: string;
  readonly states?: readonly RecipientState[];
};

/** `missing` has the given ids of messages in which nothing could be changed. */
export type QueueChange = { readonly touched: readonly Touched[]; readonly missing: readonly string[] };

/** `preview` */
export type QueuePreview = {
  readonly recipients: number;
  readonly messages: number;
  readonly oldestAcceptedAt: string | null;
  readonly upTo: string;
};

export type QueueControl = {
  /** The oldest first, in pages. Each read of the store covers one page. */
  list(filter?: QueueFilter): AsyncGenerator<readonly QueuedMessage[]>;
  /** Rejects with `not found` if there is no such message. */
  show(id: string): Promise<TracedMessage>;
  /**
   * What one of the actions below would find. Its `upTo` in the selection keeps the action from mail that came later, or has only become as old
   * as the filter wants since. Without it, an action leaves alone what comes while it goes on.
   */
  preview(selection: Selection): Promise<QueuePreview>;
  /** Makes the mail due now, even for hosts that rest. Its age does not change. */
  retry(selection: Selection): Promise<QueueChange>;
  /** Keeps the mail, and does not try it until `release`. */
  hold(selection: Selection): Promise<QueueChange>;
  release(selection: Selection): Promise<QueueChange>;
  /** Removes without a report to the sender. */
  remove(selection: Selection): Promise<QueueChange>;
  /** Applies the current routes to waiting mail. */
  reroute(selection: Selection): Promise<QueueChange>;
  /** One of the actions above, with the recipients that it left alone, and why. @param told what fits before it begins, and each step. */
  act(action: QueueAction, selection: Selection, told?: ActProgress): Promise<QueueResult>;
  /** Counts the waiting mail by state and by destination. */
  summary(): Promise<QueueSummary>;
  /** What has not ended, by destination or login, the largest first. */
  groups(query: QueueGroupQuery): Promise<readonly QueuedGroup[]>;
};

const PAGE = 200;
const MOST_DESTINATIONS = 1000;

type ActProgress = { expect(recipients: number): void; add(changed: number): void };

/** `recipients`: at most 100 of those that were changed. */
export type QueueResult = {
  readonly changed: { readonly count: number; readonly recipients: readonly Touched[] };
  readonly unchanged: Unchanged;
};

const MOST_SHOWN = 100;

export function createQueueControl({ store: { messages }, settings, now, note }: Parts<QueueSettings>): QueueControl {
  async function change(action: QueueAction, chosen: Selection, onStep?: OnStep): Promise<readonly Touched[]> {
    const view = note({ action: `queue.${action}`, target: targetOf(chosen), after: selectionShape(chosen) });
    if (action !== 'reroute') return view.messages[action](chosen, now(), onStep);
    const { destinationOf } = await import('../delivery/delivery.ts');
    const { routes } = settings();
    const chooses = (...[message, address]: Parameters<Parameters<MessageStore['reroute']>[2]>) =>
      destinationOf(routes, message, address);
    return view.messages.reroute(chosen, now(), chooses, onStep);
  }

  async function applied(action: QueueAction, selection: Selection): Promise<QueueChange> {
    const given = await normal(selection);
    const chosen = given.ids === undefined ? { ...given, upTo: (await messages.preview(given)).upTo } : given;
    const touched = await change(action, chosen);
    const found = new Set(touched.map(({ id }) => id));
    const missing = chosen.ids?.filter((id) => !found.has(id)) ?? [];
    return { touched: touched.map(({ id, recipient, state }) => ({ id, recipient, state })), missing };
  }

  async function normal(selection: Selection): Promise<Selection> {
    const { ids, user } = selection;
    return {
      ...unpinned(selection),
      ...(ids === undefined ? {} : { ids: [...new Set(ids)] }),
      ...(user === undefined ? {} : { user: await normalUserName(user, 'user') }),
    };
  }

  return {
    async *list({ user, ...filter } = {}) {
      const query = { ...filter, ...(user === undefined ? {} : { user: await normalUserName(user, 'user') }), limit: PAGE };
      for await (const page of pagesOf(messages, query)) yield page.map(messageShape);
    },
    async show(id) {
      const message = await messages.get(id);
      if (message === undefined) throw new ControlError('not found', 'message', `No message ${id}.`);
      return traceShape(message);
    },
    async preview(selection) {
      const chosen = await normal(selection);
      const { oldestAcceptedAt, upTo, ...counted } = await messages.preview(chosen);
      return { ...counted, oldestAcceptedAt: iso(oldestAcceptedAt), upTo: pinOf(upTo, chosen) };
    },
    retry: (selection) => applied('retry', selection),
    hold: (selection) => applied('hold', selection),
    release: (selection) => applied('release', selection),
    remove: (selection) => applied('remove', selection),
    reroute: (selection) => applied('reroute', selection),
    async act(action, selection, told) {
      const given = await normal(selection);
      const { recipients: fitted, upTo } = await messages.preview(given);
      told?.expect(fitted);
      const chosen = given.ids === undefined ? { ...given, upTo } : given; // what comes while it goes on was not counted
      const touched = await change(action, chosen, told?.add);
      const shown = touched.slice(0, MOST_SHOWN).map(({ id, recipient, state }) => ({ id, recipient, state }));
      const unchanged = await unchangedOf(messages, { action, selection: chosen, touched, fitted });
      return { changed: { count: touched.length, recipients: shown }, unchanged };
    },
    summary: async () => summaryShape(await messages.counts(), await messages.summary(MOST_DESTINATIONS)),
    groups: async (query) => (await messages.queueGroups(query)).map(groupShape),
  };
}

/** The id of the newest message, and before which time mail was accepted that was old enough. */
function pinOf(id: string, { acceptedBefore }: Selection): string {
  return acceptedBefore === undefined ? id : `${id}@${acceptedBefore}`;
}

/** @throws ControlError if the pin is none of a preview. */
function unpinned({ upTo, acceptedBefore, ...rest }: Selection): Selection {
  const [id, before = '', ...more] = upTo?.split('@') ?? [];
  if (!/^\d*$/.test(before) || more.length > 0) refuseFaults([{ at: 'upTo', message: 'is the `upTo` of a preview' }]);
  const pinned = before === '' ? Number.POSITIVE_INFINITY : Number(before);
  return {
    ...rest,
    ...(id !== undefined && { upTo: id }),
    // As a database keeps times: whole, and not before 1970.
    ...(acceptedBefore !== undefined && { acceptedBefore: Math.max(0, Math.ceil(Math.min(acceptedBefore, pinned))) }),
  };
}

/** Ids that a row about a change names. */
const MOST_NAMED = 20;

/** The one message, else what the mail has in common. */
function targetOf({ ids, domain, user }: Selection): string {
  if (ids !== undefined) return ids.length === 1 ? ids[0]! : `${ids.length} messages`;
  return domain ?? user ?? 'all mail';
}

/** What was asked for. How many recipients were changed is in the row by itself. */
function selectionShape({ ids, ...chosen }: Selection) {
  return { selection: { ...chosen, ...(ids === undefined ? {} : { messages: ids.length, ids: ids.slice(0, MOST_NAMED) }) } };
}

async function* pagesOf(messages: MessageStore, query: Parameters<MessageStore['list']>[0]) {
  let after: string | undefined;
  do {
    const page = await messages.list({ ...query, ...(after === undefined ? {} : { after }) });
    if (page.length > 0) yield page;
    after = page.length < PAGE ? undefined : page.at(-1)!.id;
  } while (after !== undefined);
}
