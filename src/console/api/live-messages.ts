/** Messages as they come and change. */
import type { Control } from '../../control/control.ts';
import { queueIdAt } from '../../smtp/queue-id.ts';
import type { BrowseQuery } from '../../store/store.ts';
import type { LiveFacts } from '../live-facts.ts';
import { eventStream } from './event-stream.ts';
import { liveMail, liveRows, type MailChange, MOST_ROWS } from './live-mail.ts';

type LivePart = {
  readonly live: LiveFacts;
  readonly trace: Control['trace'];
  /** Which messages. The caller sees no others. */
  readonly query: Omit<BrowseQuery, 'limit'>;
  /** What happens to mail of this login may be told. null: our own. */
  readonly sees: (user: string | null) => boolean;
  /** The newest message that the browser has. */
  readonly after: string | undefined;
  readonly signal: AbortSignal;
};

/** `more`: how many were left out of a frame. null: an unknown number. */
export function liveMessages({ live, trace, query, sees, after, signal }: LivePart): AsyncIterable<string> {
  const mail = liveMail(live);
  let changed = new Set<string>();
  let left = 0;
  let isUnknown = false;
  const begin = after ?? queueIdAt(Date.now());
  let newest = begin;
  let wasAway = after !== undefined;
  const caughtUp = new Set<string>();

  function hear(change: MailChange | undefined): void {
    if (change === undefined) {
      isUnknown = true;
      return;
    }
    const { id, user, isFound } = change;
    if ((user !== undefined && !sees(user)) || (isFound && (id <= begin || caughtUp.has(id)))) return;
    if (changed.size < MOST_ROWS || changed.has(id)) changed.add(id);
    else left++;
  }

  /** What came while the browser was away. */
  async function missed() {
    if (!wasAway) return { rows: [], isCut: false };
    wasAway = false;
    const { items, next } = await trace.browse({ ...query, after: begin, limit: MOST_ROWS });
    for (const { id } of items) caughtUp.add(id);
    return { rows: liveRows(items), isCut: next !== null };
  }

  async function next() {
    const ids = [...changed];
    const leftOut = left;
    const wasUnknown = isUnknown;
    [changed, left, isUnknown] = [new Set(), 0, false];
    const { rows: came, isCut } = await missed();
    const known = ids.length === 0 ? [] : await mail.rows(trace, query, ids);
    const names = new Set(known.map(({ id }) => id));
    const all = [...known, ...came.filter(({ id }) => !names.has(id))].sort((a, b) => (a.id < b.id ? 1 : -1));
    const rows = all.slice(0, MOST_ROWS);
    const more = leftOut + all.length - rows.length;
    if (rows.length === 0 && more === 0 && !wasUnknown) return undefined;
    for (const { id } of rows) if (id > newest) newest = id;
    const data = `{"items":[${rows.map(({ json }) => json).join(',')}],"more":${isCut || wasUnknown ? null : more}}`;
    return { id: newest, event: 'messages', data };
  }

  return eventStream(() => ({ next, end: mail.hear(trace, hear) }), signal);
}
