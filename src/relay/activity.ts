/**
 * Keeps what people ask for later: which commands were refused, and how much passed in each hour. It hears the events that the log has,
 * and writes to the store now and then, so that a crash loses the last seconds of it, and mail never waits for it.
 */
import type { EventLog, RelayEvent } from '../events/events.ts';
import { domainOf } from '../smtp/envelope.ts';
import { cleanLine } from '../smtp/text.ts';
import type {
  ActivityStore,
  HistoryCount,
  HistoryOutcome,
  HistorySubject,
  Led,
  RefusedCommand,
  StoreData,
} from '../store/store.ts';
import { createCache } from '../system/cache.ts';
import { type Clock, DAY, HOUR, MINUTE, SECOND, systemClock } from '../system/clock.ts';
import { createLastLogins } from './last-logins.ts';

const REFUSED_EVERY = 5 * SECOND;
const COUNTED_EVERY = MINUTE;
const LOGINS_EVERY = 20 * SECOND;
/** Different refusals between two writes. A guesser that says the same again and again is one of them. */
const MOST_WAITING = 1000;
/** Names of one hour. What has no room is counted with an empty name. */
const MOST_NAMES: Readonly<Record<HistorySubject, number>> = { user: 1000, destination: 300 };
/** How long the counts are kept: one year and a month for logins, a month for destinations, of which there may be many. */
const KEPT: Readonly<Record<HistorySubject, number>> = { user: 400 * DAY, destination: 31 * DAY };
const MAX_TEXT = 500;
const MAX_VERB = 20;

type Waiting = { -readonly [K in keyof RefusedCommand]: RefusedCommand[K] };
type Row = { -readonly [K in keyof HistoryCount]: HistoryCount[K] };
/** The rows of one name. */
type Named = Partial<Record<HistoryOutcome, Row>>;

type KeptIn = Pick<StoreData, 'activity' | 'operation'>;

export type Activity = {
  observe(event: RelayEvent): void;
  /** Refusals that are not written yet, the newest first. */
  waiting(): readonly RefusedCommand[];
  /** Begins to write. @returns writes the rest and ends. */
  keep(store: KeptIn, log: EventLog): () => Promise<void>;
  /** Forgets what is too old. */
  trim(store: Led<ActivityStore>): Promise<void>;
};

export function createActivity(now: Clock = systemClock): Activity {
  const refused = new Map<string, Waiting>();
  /** On their way to the store. */
  let writing: readonly Waiting[] = [];
  /** Rows since the last write. */
  let counts: Row[] = [];
  /** By the names of this hour. Each has its rows among `counts`, so that a message needs no key that is put together. */
  const names: Record<HistorySubject, Map<string, Named>> = { user: new Map(), destination: new Map() };
  let namesOf = 0;
  const lastLogins = createLastLogins();
  /** The name of the last failed login of a session. */
  const typed = createCache<string, string>(MOST_WAITING);

  function note(refusal: Omit<RefusedCommand, 'at' | 'until' | 'count'>): void {
    const { ip, user, verb, code, status, reply, reversePath, recipient } = refusal;
    const key = [ip, user, verb, code, status, reply, reversePath, recipient].join('\0');
    const at = now();
    const known = refused.get(key);
    if (known === undefined) {
      if (refused.size < MOST_WAITING) refused.set(key, { ...refusal, at, until: at, count: 1 });
      return;
    }
    known.count++;
    known.until = at;
  }

  function count(by: HistorySubject, called: string, outcome: HistoryOutcome, bytes = 0): void {
    const at = now();
    const hour = at - (at % HOUR);
    if (hour !== namesOf) {
      names.user.clear();
      names.destination.clear();
      namesOf = hour;
    }
    const known = names[by];
    let name = called;
    let rows = known.get(name);
    if (rows === undefined && known.size >= MOST_NAMES[by]) {
      name = '';
      rows = known.get(name);
    }
    if (rows === undefined) known.set(name, (rows = {}));
    const row = rows[outcome];
    if (row !== undefined) {
      row.count++;
      row.bytes += bytes;
      return;
    }
    counts.push((rows[outcome] = { by, hour, name, outcome, count: 1, bytes }));
  }

  function observe({ event, fields }: RelayEvent): void {
    switch (event) {
      case 'accepted':
        count('user', fields.user ?? '', 'accepted', fields.size);
        break;
      case 'relayed':
      case 'delayed':
      case 'failed':
      case 'expired':
        count('user', fields.user ?? '', event);
        count('destination', domainOf(fields.recipient), event);
        break;
      case 'authenticated':
        if (fields.user === undefined) break;
        lastLogins.note(fields.user, { at: now(), ip: fields.ip, tls: fields.tls, mechanism: fields.mechanism });
        break;
      case 'authFailed':
        typed.set(fields.session, fields.user ?? '');
        break;
      case 'refused':
        if (fields.user !== undefined) count('user', fields.user, 'refused');
        note(refusedCommand({ ...fields, user: fields.user ?? typed.get(fields.session) }));
    }
  }

  async function writeRefused(store: ActivityStore): Promise<void> {
    if (refused.size === 0) return;
    writing = [...refused.values()];
    refused.clear();
    try {
      await store.addRefused(writing);
    } finally {
      writing = [];
    }
  }

  async function writeCounts(store: ActivityStore): Promise<void> {
    if (counts.length === 0) return;
    const rows = counts;
    counts = [];
    for (const known of Object.values(names)) for (const name of known.keys()) known.set(name, {});
    await store.addHistory(rows);
  }

  return {
    observe,
    waiting: () => [...writing, ...refused.values()].reverse(),
    keep(store, log) {
      let last: Promise<void> = Promise.resolve();
      // What could not be written is lost: to keep it would fill the memory while a disk is full, which people hear of by other ways.
      const after = (write: () => Promise<void>) => {
        last = last.then(write).catch((error: unknown) => log.emit('activityNotKept', { error }));
        return last;
      };
      const writes = [
        { every: REFUSED_EVERY, write: () => writeRefused(store.activity) },
        { every: COUNTED_EVERY, write: () => writeCounts(store.activity) },
        { every: LOGINS_EVERY, write: () => lastLogins.write(store) },
      ];
      const timers = writes.map(({ every, write }) => setInterval(() => void after(write), every).unref());
      return async () => {
        for (const timer of timers) clearInterval(timer);
        for (const { write } of writes) await after(write);
      };
    },
    async trim(store) {
      for (const by of ['user', 'destination'] as const) while (await store.trimHistory(by, now() - KEPT[by]));
    },
  };
}

type RefusedFields = Extract<RelayEvent, { readonly event: 'refused' }>['fields'];

function refusedCommand({ session, ip, user, verb, code, status, reply, reversePath, recipient }: RefusedFields) {
  const cut = (text: string | undefined) => (text === undefined ? null : cleanLine(text, { max: MAX_TEXT }));
  const said = cleanLine(reply, { max: MAX_TEXT });
  const from = { reversePath: cut(reversePath), recipient: cut(recipient) };
  return { session, ip, user: cut(user), verb: cleanLine(verb, { max: MAX_VERB }), code, status, reply: said, ...from };
}
