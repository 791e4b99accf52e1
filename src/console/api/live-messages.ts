/** Messages as they come and change. */
import * as v from 'valibot';
import type { Control } from '../../control/control.ts';
import { queueIdAt } from '../../smtp/queue-id.ts';
import type { BrowseQuery } from '../../store/store.ts';
import { SECOND } from '../../system/clock.ts';
import type { LiveFacts } from '../live-facts.ts';
import { eventStream } from './event-stream.ts';
import { listedMessage } from './message-shapes.ts';

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

/** Rows of one frame. */
const MOST_ROWS = 100;
/** How often the store is asked for mail that other processes have accepted, and how far back, in milliseconds. */
const ASK_EVERY = SECOND;
const ASK_BACK = 10 * SECOND;

const rows = v.array(listedMessage);

/** `more`: how many were left out of a frame. null: an unknown number. */
export function liveMessages({ live, trace, query, sees, after, signal }: LivePart): AsyncIterable<string> {
  let changed = new Set<string>();
  let left = 0;
  const watch = () =>
    live.watch(({ fields }) => {
      if (!('queueId' in fields) || typeof fields.queueId !== 'string') return;
      if ('user' in fields && !sees(fields.user ?? null)) return;
      if (changed.size < MOST_ROWS || changed.has(fields.queueId)) changed.add(fields.queueId);
      else left++;
    });
  /** Those that a look back would find again. */
  const shown = new Set<string>();
  const begin = after ?? queueIdAt(Date.now());
  let newest = begin;
  let askedAt = Number.NEGATIVE_INFINITY;
  let isFirst = after !== undefined;

  /** What came while the browser was away, or was accepted by another process. */
  async function missed() {
    askedAt = performance.now();
    const from = isFirst ? begin : queueIdAt(Date.now() - ASK_BACK);
    isFirst = false;
    for (const id of shown) if (id <= from) shown.delete(id);
    const { items, next } = await trace.browse({ ...query, after: from, except: [...shown], limit: MOST_ROWS });
    return { items: items.filter(({ id }) => id > begin), isCut: next !== null && from === after };
  }

  async function next() {
    const ids = [...changed];
    const leftOut = left;
    [changed, left] = [new Set(), 0];
    const isTime = ids.length < MOST_ROWS && performance.now() - askedAt >= ASK_EVERY;
    const came = isTime ? await missed() : { items: [], isCut: false };
    const known = ids.length === 0 ? [] : (await trace.browse({ ...query, ids, limit: MOST_ROWS })).items;
    const names = new Set(known.map(({ id }) => id));
    const all = [...known, ...came.items.filter(({ id }) => !names.has(id))].sort((a, b) => (a.id < b.id ? 1 : -1));
    const items = all.slice(0, MOST_ROWS);
    const more = leftOut + all.length - items.length;
    if (items.length === 0 && more === 0) return undefined;
    for (const { id } of items) {
      shown.add(id);
      if (id > newest) newest = id;
    }
    return { id: newest, event: 'messages', data: { items: v.parse(rows, items), more: came.isCut ? null : more } };
  }

  return eventStream(() => ({ next, end: watch() }), signal);
}
