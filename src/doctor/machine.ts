/** Checks the machine: free disk space, the store, and the clock. */
import { DAY, HOUR, MINUTE, SECOND } from '../system/clock.ts';
import { about, type Finding, listed } from './finding.ts';

export type DiskFacts = { readonly dir: string; readonly free: number | undefined; readonly minFree: number };

const GIB = 2 ** 30;
const gib = (bytes: number) => `${(bytes / GIB).toFixed(1)} GiB`;

export function checkDisk({ dir, free, minFree }: DiskFacts): Finding {
  const say = about('disk', dir);
  const wanted = `more than ${gib(2 * minFree)} free`;
  if (free === undefined) return say('unknown', 'the file system does not tell', wanted, 'Check it with df.');
  const found = `${gib(free)} free`;
  if (free < minFree)
    return say('error', found, wanted, 'New mail is refused for now with 452 until there is space (`queue.minFree`).');
  if (free < 2 * minFree) return say('warning', found, wanted, 'Make space, or put `dataDir` on a larger disk.');
  return say('ok', found, wanted);
}

export type StoreFacts = {
  readonly dir: string;
  /** Milliseconds of a synced commit, or the reason why it failed. */
  readonly commit: number | string;
  readonly waiting: number;
  readonly held: number;
  readonly oldestAcceptedAt: number | null;
  /** True if a `serve` uses the data directory. */
  readonly running: boolean;
  readonly now: number;
};

export function checkStore(facts: StoreFacts): readonly Finding[] {
  const { dir, commit, running } = facts;
  const say = about('store', dir);
  const wanted = 'a commit that is synced';
  const store =
    typeof commit === 'string'
      ? say('error', commit, wanted, 'No mail is accepted while the store fails.')
      : commit > SECOND
        ? say(
            'warning',
            `a commit took ${(commit / SECOND).toFixed(1)} s`,
            wanted,
            'The disk is slow or busy: every message waits for it.',
          )
        : say('ok', `a commit took ${Math.ceil(commit)} ms`, wanted);
  const serve = about('relay', 'smarthost serve');
  return [
    store,
    running
      ? serve('ok', 'runs', 'runs')
      : serve('unknown', 'does not run', 'runs', 'Start it, so that listeners and certificate can be checked: smarthost serve'),
    checkQueue(facts),
  ];
}

function checkQueue({ dir, waiting, held, oldestAcceptedAt, now }: StoreFacts): Finding {
  const say = about('queue', dir);
  const age = oldestAcceptedAt === null ? 0 : now - oldestAcceptedAt;
  const found = `${waiting} waiting, ${held} held${waiting > 0 ? `, the oldest for ${duration(age)}` : ''}`;
  const wanted = 'nothing waits for long';
  if (held > 0)
    return say(
      'warning',
      found,
      wanted,
      'Held mail waits for you: see smarthost queue list --state held, and send it by smarthost queue release',
    );
  if (waiting > 0 && age > 4 * HOUR) return say('warning', found, wanted, 'To see why it waits: smarthost queue list');
  return say('ok', found, wanted);
}

function duration(age: number): string {
  if (age >= DAY) return `${Math.floor(age / DAY)} d`;
  return age >= HOUR ? `${Math.floor(age / HOUR)} h` : `${Math.floor(age / MINUTE)} min`;
}

export type ThreadFacts = {
  /** As the configuration says, on this machine. */
  readonly wanted: number;
  /** From the metrics of the running relay. Undefined: it does not run, or does not tell. */
  readonly seen: { readonly working: number; readonly sessions: readonly number[]; readonly ends: number } | undefined;
};

export function checkThreads({ wanted, seen }: ThreadFacts): readonly Finding[] {
  if (wanted === 1 && (seen === undefined || seen.sessions.length === 0)) return [];
  const say = about('threads', 'sessions');
  const want = `${wanted === 1 ? 'the main thread' : `${wanted} threads`}, as the setting says`;
  if (seen === undefined)
    return [say('unknown', 'the relay does not tell', want, 'Start it with `listen.admin`, so that it can be asked.')];
  const { working, sessions, ends } = seen;
  const replaced = ends === 0 ? '' : `; ended by a fault and replaced: ${ends}`;
  const each = sessions.length === 0 ? '' : `, with ${listed(sessions.map(String))} sessions`;
  const found = `${working} ${working === 1 ? 'thread answers' : 'threads answer'}${each}${replaced}`;
  if (Math.max(sessions.length, 1) !== wanted)
    return [say('warning', found, want, 'Restart the relay: the setting `threads` has changed.')];
  if (working < wanted)
    return [
      say(
        'warning',
        found,
        want,
        'A thread that does not answer is replaced after 30 s: look for threadSilent and threadEnded in the log.',
      ),
    ];
  if (ends > 0)
    return [say('warning', found, want, 'Nothing is lost, but it is our fault: report the lines threadEnded of the log to us.')];
  return [say('ok', found, want)];
}

export type ClockFacts = {
  readonly now: number;
  /** The times that servers reported, and when we received them. */
  readonly peers: readonly { readonly name: string; readonly at: number; readonly heardAt: number }[];
  /** Things that certainly happened before now, such as the newest entry of the store and the start of the certificate. */
  readonly past: readonly { readonly what: string; readonly at: number }[];
  /** True if the system's time service reports a synchronized clock; undefined if it reports nothing. */
  readonly synchronized?: boolean;
};

/** Certificates and DKIM signatures contain times. An error of one minute does no harm. */
const DRIFT = 30 * SECOND;
const WRONG = 5 * MINUTE;

export function checkClock({ now, peers, past, synchronized }: ClockFacts): Finding {
  const say = about('clock', 'this machine');
  const shown = new Date(now).toISOString();
  const wanted = 'the right time';
  const correct =
    'Correct the clock and let a time service keep it (systemd-timesyncd, chrony): signatures and certificates depend on it.';
  const before = past.filter(({ at }) => at > now + WRONG);
  if (before.length > 0) return say('error', `${shown}, before ${listed(before.map(({ what }) => what))}`, wanted, correct);
  // One server may be wrong, so the median counts.
  const offsets = peers.map(({ at, heardAt }) => heardAt - at).sort((a, b) => a - b);
  const offset = offsets[Math.floor(offsets.length / 2)];
  if (offset !== undefined) {
    const found = `${shown}, ${(Math.abs(offset) / SECOND).toFixed(0)} s ${offset < 0 ? 'behind' : 'ahead of'} ${listed(peers.map(({ name }) => name))}`;
    if (Math.abs(offset) > WRONG) return say('error', found, wanted, correct);
    return Math.abs(offset) > DRIFT ? say('warning', found, wanted, correct) : say('ok', found, wanted);
  }
  if (synchronized) return say('ok', `${shown}, kept by a time service`, wanted);
  return say('unknown', `${shown}, without a time to compare with`, wanted, 'No server reported its time: compare it yourself.');
}
