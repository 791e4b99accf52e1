/** Checks the machine: free disk space, the store, and the clock. */
import { DAY, HOUR, MINUTE, SECOND } from '../system/clock.ts';
import { data, phrase } from '../system/phrase.ts';
import { about, type Finding, listed } from './finding.ts';

export type DiskFacts = { readonly dir: string; readonly free: number | undefined; readonly minFree: number };

const GIB = 2 ** 30;
const gib = (bytes: number) => `${(bytes / GIB).toFixed(1)} GiB`;

export function checkDisk({ dir, free, minFree }: DiskFacts): Finding {
  const say = about('disk', dir);
  const wanted = phrase`more than ${gib(2 * minFree)} free`;
  if (free === undefined) return say('unknown', phrase`the file system does not tell`, wanted, phrase`Check it with df.`);
  const found = phrase`${gib(free)} free`;
  if (free < minFree)
    return say('error', found, wanted, phrase`New mail is refused for now with 452 until there is space (\`queue.minFree\`).`);
  if (free < 2 * minFree) return say('warning', found, wanted, phrase`Make space, or put \`dataDir\` on a larger disk.`);
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
  const wanted = phrase`a commit that is synced`;
  const store =
    typeof commit === 'string'
      ? say('error', data(commit), wanted, phrase`No mail is accepted while the store fails.`)
      : commit > SECOND
        ? say(
            'warning',
            phrase`a commit took ${(commit / SECOND).toFixed(1)} s`,
            wanted,
            phrase`The disk is slow or busy: every message waits for it.`,
          )
        : say('ok', phrase`a commit took ${Math.ceil(commit)} ms`, wanted);
  const serve = about('relay', 'smarthost serve');
  return [
    store,
    running
      ? serve('ok', phrase`runs`, phrase`runs`)
      : serve(
          'unknown',
          phrase`does not run`,
          phrase`runs`,
          phrase`Start it, so that listeners and certificate can be checked: smarthost serve`,
        ),
    checkQueue(facts),
  ];
}

function checkQueue({ dir, waiting, held, oldestAcceptedAt, now }: StoreFacts): Finding {
  const say = about('queue', dir);
  const age = oldestAcceptedAt === null ? 0 : now - oldestAcceptedAt;
  const found =
    waiting > 0
      ? phrase`${waiting} waiting, ${held} held, the oldest for ${duration(age)}`
      : phrase`${waiting} waiting, ${held} held`;
  const wanted = phrase`nothing waits for long`;
  if (held > 0)
    return say(
      'warning',
      found,
      wanted,
      phrase`Held mail waits for you: see smarthost queue list --state held, and send it by smarthost queue release`,
    );
  if (waiting > 0 && age > 4 * HOUR) return say('warning', found, wanted, phrase`To see why it waits: smarthost queue list`);
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
  const want = wanted === 1 ? phrase`the main thread, as the setting says` : phrase`${wanted} threads, as the setting says`;
  if (seen === undefined)
    return [
      say('unknown', phrase`the relay does not tell`, want, phrase`Start it with \`listen.admin\`, so that it can be asked.`),
    ];
  const { working, sessions, ends } = seen;
  const replaced = ends === 0 ? '' : phrase`; ended by a fault and replaced: ${ends}`;
  const each = sessions.length === 0 ? '' : phrase`, with ${listed(sessions.map(String))} sessions`;
  const found = working === 1 ? phrase`1 thread answers${each}${replaced}` : phrase`${working} threads answer${each}${replaced}`;
  if (Math.max(sessions.length, 1) !== wanted)
    return [say('warning', found, want, phrase`Restart the relay: the setting \`threads\` has changed.`)];
  if (working < wanted)
    return [
      say(
        'warning',
        found,
        want,
        phrase`A thread that does not answer is replaced after 30 s: look for threadSilent and threadEnded in the log.`,
      ),
    ];
  if (ends > 0)
    return [
      say('warning', found, want, phrase`Nothing is lost, but it is our fault: report the lines threadEnded of the log to us.`),
    ];
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
  const wanted = phrase`the right time`;
  const correct = phrase`Correct the clock and let a time service keep it (systemd-timesyncd, chrony): signatures and certificates depend on it.`;
  const before = past.filter(({ at }) => at > now + WRONG);
  if (before.length > 0) return say('error', phrase`${shown}, before ${listed(before.map(({ what }) => what))}`, wanted, correct);
  // One server may be wrong, so the median counts.
  const offsets = peers.map(({ at, heardAt }) => heardAt - at).sort((a, b) => a - b);
  const offset = offsets[Math.floor(offsets.length / 2)];
  if (offset !== undefined) {
    const [by, than] = [(Math.abs(offset) / SECOND).toFixed(0), listed(peers.map(({ name }) => name))];
    const found = offset < 0 ? phrase`${shown}, ${by} s behind ${than}` : phrase`${shown}, ${by} s ahead of ${than}`;
    if (Math.abs(offset) > WRONG) return say('error', found, wanted, correct);
    return Math.abs(offset) > DRIFT ? say('warning', found, wanted, correct) : say('ok', found, wanted);
  }
  if (synchronized) return say('ok', phrase`${shown}, kept by a time service`, wanted);
  return say(
    'unknown',
    phrase`${shown}, without a time to compare with`,
    wanted,
    phrase`No server reported its time: compare it yourself.`,
  );
}
