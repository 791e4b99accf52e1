/** Which messages came or changed, for all who follow mail: one look and one read serve all who ask the same. */
import * as v from 'valibot';
import type { Control } from '../../control/control.ts';
import { queueIdAt } from '../../smtp/queue-id.ts';
import type { BrowseQuery } from '../../store/store.ts';
import { SECOND } from '../../system/clock.ts';
import type { LiveFacts } from '../live-facts.ts';
import { listedMessage } from './message-shapes.ts';

type Trace = Control['trace'];

/** `user`: null: our own mail; undefined: not told. `isFound`: another process has accepted it. */
export type MailChange = { readonly id: string; readonly user: string | null | undefined; readonly isFound: boolean };
/** `undefined`: there was more than was looked at, of whomever. */
type Hear = (change: MailChange | undefined) => void;

/** One message as JSON. */
type LiveRow = { readonly id: string; readonly json: string };

/** Rows of one read. */
export const MOST_ROWS = 100;
/**
 * How often the store is asked for mail that other processes have accepted, and how far back, in milliseconds. Where no other relay has the
 * store there are only commands, whose mail this relay tells of when it delivers it.
 */
const ASK_EVERY = SECOND;
const ASK_OWN_EVERY = 5 * SECOND;
const ASK_BACK = 10 * SECOND;
/** Reads of one look. */
const MOST_READS = 10;

type LiveMail = ReturnType<typeof createLiveMail>;
const known = new WeakMap<LiveFacts, LiveMail>();

/** One for each console. It does nothing while nobody hears it. */
export function liveMail(live: LiveFacts): LiveMail {
  const mail = known.get(live) ?? createLiveMail(live);
  known.set(live, mail);
  return mail;
}

function createLiveMail(live: LiveFacts) {
  const hearers = new Set<Hear>();
  /** Those that a look back would find again. */
  const told = new Set<string>();
  const readings = new Map<string, Promise<readonly LiveRow[]>>();
  let end: (() => void) | undefined;

  let isLooking = false;

  function tell(change: MailChange): void {
    told.add(change.id);
    readings.clear(); // what is being read may be older than this
    for (const hear of hearers) hear(change);
  }

  /** A store that does not answer is asked again: reading rows says what is wrong with it. */
  async function look(trace: Trace): Promise<void> {
    const from = queueIdAt(Date.now() - ASK_BACK);
    for (const id of told) if (id <= from) told.delete(id);
    const except = [...told];
    let before: string | undefined;
    for (let i = 0; i < MOST_READS; i++) {
      const part = before === undefined ? {} : { before };
      const found = await trace
        .browse({ after: from, except, limit: MOST_ROWS, ...part })
        .catch(() => ({ items: [], next: null }));
      for (const { id, user } of found.items) if (!told.has(id)) tell({ id, user, isFound: true });
      if (found.next === null) return;
      before = found.next;
    }
    for (const hear of hearers) hear(undefined);
  }

  function begin(trace: Trace): () => void {
    const unwatch = live.watch(({ fields }) => {
      if (!('queueId' in fields) || typeof fields.queueId !== 'string') return;
      tell({ id: fields.queueId, user: 'user' in fields ? (fields.user ?? null) : undefined, isFound: false });
    });
    let askedAt = performance.now();
    const timer = setInterval(() => {
      const now = performance.now();
      if (isLooking || (!live.isShared() && now - askedAt < ASK_OWN_EVERY - ASK_EVERY / 2)) return;
      askedAt = now;
      isLooking = true;
      void look(trace).finally(() => {
        isLooking = false;
      });
    }, ASK_EVERY).unref();
    return () => {
      unwatch();
      clearInterval(timer);
      told.clear();
    };
  }

  return {
    /** @returns ends it. */
    hear(trace: Trace, hear: Hear): () => void {
      hearers.add(hear);
      end ??= begin(trace);
      return () => {
        hearers.delete(hear);
        if (hearers.size > 0) return;
        end?.();
        end = undefined;
      };
    },
    /** Those of these messages that fit. */
    rows(trace: Trace, query: Omit<BrowseQuery, 'limit'>, ids: readonly string[]): Promise<readonly LiveRow[]> {
      const key = JSON.stringify([query, ids]);
      const same = readings.get(key);
      if (same !== undefined) return same;
      const reading = trace.browse({ ...query, ids, limit: MOST_ROWS }).then(({ items }) => liveRows(items));
      readings.set(key, reading);
      const forget = () => readings.get(key) === reading && readings.delete(key);
      reading.then(forget, forget);
      return reading;
    },
  };
}

/** Only what the schema names leaves. */
export const liveRows = (items: readonly { readonly id: string }[]): readonly LiveRow[] =>
  items.map((item) => ({ id: item.id, json: JSON.stringify(v.parse(listedMessage, item)) }));
