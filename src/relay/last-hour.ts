/** What happened in the last hour, in memory: counts by login, how long mail took, and the last failures. */
import type { LastHour } from '../console/console.ts';
import type { RelayEvent } from '../events/events.ts';
import { timeOfQueueId } from '../smtp/queue-id.ts';
import { type Clock, HOUR, MINUTE, SECOND } from '../system/clock.ts';

const MINUTES = HOUR / MINUTE;
/** Logins that are counted by themselves in one minute. What has no room is counted with all only. */
const MOST_USERS = 500;
const MOST_FAILURES = 10;
/** Failures that are remembered, so that each of those who see few logins has some. */
const KEPT_FAILURES = 200;
/** Each bin of latency reaches to this many times the end of the one before. */
const STEP = 1.2;
const BINS = 96;
const FIRST_BIN = 10;

type Counts = { -readonly [K in keyof LastHour['counts']]: number };
type Minute = {
  readonly number: number;
  readonly all: Counts;
  readonly users: Map<string, Counts>;
  readonly latency: Uint32Array;
};
type Failure = LastHour['failures'][number];

export type HourBook = {
  observe(event: RelayEvent): void;
  /** @param users only these logins. null: all. Latency is that of all mail. */
  lastHour(users: readonly string[] | null): LastHour;
};

export function createHourBook(now: Clock): HourBook {
  const startedAt = now();
  const minutes: (Minute | undefined)[] = new Array(MINUTES);
  const failures: Failure[] = [];

  function current(): Minute {
    const number = Math.floor(now() / MINUTE);
    const known = minutes[number % MINUTES];
    if (known?.number === number) return known;
    const made = { number, all: nothing(), users: new Map<string, Counts>(), latency: new Uint32Array(BINS) };
    minutes[number % MINUTES] = made;
    return made;
  }

  function count(what: keyof Counts, user: string | null | undefined): Minute {
    const minute = current();
    minute.all[what]++;
    if (user == null) return minute;
    const of = minute.users.get(user) ?? (minute.users.size < MOST_USERS ? nothing() : undefined);
    if (of === undefined) return minute;
    of[what]++;
    minute.users.set(user, of);
    return minute;
  }

  function fail(id: string, recipient: string, user: string | undefined, reply: string | null): void {
    failures.push({ at: now(), id, recipient, user: user ?? null, reply });
    if (failures.length > KEPT_FAILURES) failures.shift();
  }

  return {
    observe({ event, fields }) {
      switch (event) {
        case 'accepted':
          count('accepted', fields.user);
          break;
        case 'relayed':
          count('relayed', fields.user).latency[binOf(now() - timeOfQueueId(fields.queueId))]!++;
          break;
        case 'delayed':
          count('delayed', fields.user);
          break;
        case 'failed':
          count('failed', fields.user);
          fail(fields.queueId, fields.recipient, fields.user, fields.reply);
          break;
        case 'expired':
          count('expired', fields.user);
          fail(fields.queueId, fields.recipient, fields.user, null);
          break;
        case 'refused':
          count('refused', fields.user);
          break;
        case 'authFailed':
          count('loginsFailed', null);
      }
    },
    lastHour(users) {
      const oldest = Math.floor(now() / MINUTE) - MINUTES;
      const counts = nothing();
      const latency = new Uint32Array(BINS);
      for (const minute of minutes) {
        if (minute === undefined || minute.number <= oldest) continue;
        for (const part of users === null ? [minute.all] : partsOf(minute, users))
          for (const what of Object.keys(counts) as (keyof Counts)[]) counts[what] += part[what];
        for (let bin = 0; bin < BINS; bin++) latency[bin]! += minute.latency[bin]!;
      }
      const only = users?.map((one) => one.toLowerCase());
      const seen = failures.filter(({ user }) => only?.includes(user?.toLowerCase() ?? '') ?? true);
      const total = latency.reduce((sum, bin) => sum + bin, 0);
      return {
        since: Math.max(startedAt, (oldest + 1) * MINUTE),
        counts,
        latency: { count: total, half: part(latency, total * 0.5), most: part(latency, total * 0.95) },
        failures: seen.slice(-MOST_FAILURES).reverse(),
      };
    },
  };
}

function partsOf({ users: counted }: Minute, users: readonly string[]): readonly Counts[] {
  const wanted = new Set(users.map((one) => one.toLowerCase()));
  return [...counted].flatMap(([user, counts]) => (wanted.has(user.toLowerCase()) ? [counts] : []));
}

const nothing = (): Counts => ({ accepted: 0, relayed: 0, delayed: 0, failed: 0, expired: 0, refused: 0, loginsFailed: 0 });

function binOf(milliseconds: number): number {
  if (!(milliseconds > FIRST_BIN)) return 0;
  return Math.min(BINS - 1, Math.ceil(Math.log(milliseconds / FIRST_BIN) / Math.log(STEP)));
}

/** The end of the bin in which the so-many-th lies, in seconds. null: there is none. */
function part(bins: Uint32Array, wanted: number): number | null {
  let sum = 0;
  for (let bin = 0; bin < BINS; bin++) {
    sum += bins[bin]!;
    if (sum > 0 && sum >= wanted) return Number(((FIRST_BIN * STEP ** bin) / SECOND).toPrecision(3));
  }
  return null;
}
