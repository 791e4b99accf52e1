/** Asks for a page of messages in steps, so that no request to the thread of the store takes long. */
import { queueIdAt, timeOfQueueId } from '../../smtp/queue-id.ts';
import { lowerAscii } from '../../smtp/text.ts';
import { DAY } from '../../system/clock.ts';
import type { BrowsedMessage, BrowsedPage, BrowseQuery } from '../message-view.ts';
import type { BrowseStep } from './browsing.ts';
import type { Step } from './queue-commands.ts';
import { AFTER_ALL } from './reading.ts';
import { stateNumber } from './states.ts';

/** An id is made before its message is accepted. Where the clock was set back, ids are later than their messages, so that `until` says nothing about them. */
const MARGIN = DAY;

/** @param ask looks at the next messages. */
export async function browsePage(
  query: BrowseQuery,
  ask: (step: BrowseStep) => Promise<Step<BrowsedMessage>>,
): Promise<BrowsedPage> {
  const { since = 0, until = Number.MAX_SAFE_INTEGER, budget = Number.POSITIVE_INFINITY, limit } = query;
  const step = {
    ...{
      users: usersOf(query),
      ids: query.ids ?? null,
      except: query.except ?? null,
      about: query.about ?? null,
      messageId: query.messageId ?? null,
      sender: lower(query.sender),
      subject: lower(query.subject),
      recipient: lower(query.recipient),
    },
    ...{ destination: query.destination ?? null, states: query.states?.map(stateNumber) ?? null, since, until },
    from: firstOf(since === 0 ? '' : queueIdAt(since - MARGIN), query.after),
  };
  let before = query.before ?? AFTER_ALL;
  const items: BrowsedMessage[] = [];
  for (const end = performance.now() + budget; ; ) {
    const { items: found, after } = await ask({ ...step, before, limit: limit - items.length });
    items.push(...found);
    if (after === null) return { items, next: null, searchedBackTo: null };
    before = after;
    if (items.length >= limit || performance.now() >= end) return { items, next: before, searchedBackTo: timeOfQueueId(before) };
  }
}

/** null: mail of any login, and our own. */
function usersOf({ user, users }: BrowseQuery): readonly string[] | null {
  if (user === undefined || users === undefined) return users ?? (user === undefined ? null : [user]);
  return users.filter((one) => lower(one) === lower(user));
}

/** The first id that may be shown. No id that sorts after `after` sorts before it with a digit more. */
function firstOf(from: string, after = ''): string {
  const next = after === '' ? '' : `${after}0`;
  return next > from ? next : from;
}

/** As `lower` of SQLite: ASCII letters alone. */
function lower(text: string | undefined): string | null {
  return text === undefined ? null : lowerAscii(text);
}
