/** Attempts per MX host set: who may go now, who waits in memory, who comes back later. Back-off is kept over a restart. */
import type { OperationStore, Pace } from '../store/store.ts';
import { type Cache, createCache } from '../system/cache.ts';
import { type Clock, HOUR } from '../system/clock.ts';
import type { MailLog } from '../system/mail-log.ts';
import type { Aborts } from './aborts.ts';
import { allowed, capacity, isResting, type PaceState, paced, START } from './host-set.ts';
import { judgeReturned, type PaceEffect, type Verdict } from './verdict.ts';

export type PacingOptions = {
  readonly operation: Pick<OperationStore, 'paces' | 'putPace' | 'removePace'>;
  readonly log: MailLog;
  readonly aborts: Aborts;
  readonly now: Clock;
  readonly concurrency: () => number;
};

/** Not tried: `notBefore` is set where the host set rests. */
export type TurnedAway = { readonly verdict: Verdict; readonly notBefore?: number };

export type Pacing = {
  /** A place under the host set's limit: undefined when it is there at once, else when it comes. */
  enter(key: string, destination: string, signal: AbortSignal): undefined | TurnedAway | Promise<TurnedAway | undefined>;
  /** Gives the place back. @param reason what the hosts said, for the operator. */
  leave(key: string, effect: PaceEffect, reason: string): void;
  /** An attempt whose host set is still being looked up. */
  lookingUp(destination: string, change: 1 | -1): void;
  room(destination: string): number;
  blockedUntil(destination: string): number | undefined;
  onRoom(listener: (destination: string) => void): void;
  /** How many host sets rest now. */
  resting(): number;
  /** Ways have changed: which hosts a destination has is found out anew. */
  forgetWays(): void;
  close(): void;
};

type HostSet = {
  readonly key: string;
  state: PaceState;
  running: number;
  readonly line: ((turnedAway: TurnedAway | undefined) => void)[];
  /** Destinations that were told of little room. */
  readonly starved: Set<string>;
  wake: NodeJS.Timeout | undefined;
  stored: boolean;
};

/** For a destination whose hosts are not known yet. */
const ROOM_UNKNOWN = 10;
const MAX_KNOWN = 50_000;
/** Above this those are forgotten that nobody has asked for lately. */
const MAX_SETS = 20_000;

export async function startPacing({ operation, log, aborts, now, concurrency }: PacingOptions): Promise<Pacing> {
  const sets = new Map<string, HostSet>();
  const keys: Cache<string, string> = createCache(MAX_KNOWN);
  const unknown = new Map<string, number>();
  const listeners: ((destination: string) => void)[] = [];
  const full = new Set<string>();
  let forgetAt = MAX_SETS;
  for (const stored of await operation.paces()) restore(stored);

  function restore({ key, concurrency: limit, blockedUntil, failures }: Pace): void {
    if (blockedUntil + HOUR < now()) return void operation.removePace(key).catch(failed);
    const set = create(key, { ...START, limit, blockedUntil, failures });
    set.stored = true;
    wakeWhenRested(set);
  }

  function create(key: string, state: PaceState): HostSet {
    if (sets.size >= forgetAt) forgetIdle();
    const set: HostSet = { key, state, running: 0, line: [], starved: new Set(), wake: undefined, stored: false };
    sets.set(key, set);
    return set;
  }

  function setOf(destination: string): HostSet | undefined {
    const key = keys.get(destination);
    return key === undefined ? undefined : sets.get(key);
  }

  function turnedAway({ state, key }: HostSet): TurnedAway {
    return {
      verdict: judgeReturned('4.4.5', `Waiting until ${describe(key)} may be tried again`),
      notBefore: state.blockedUntil,
    };
  }

  /** Lets those go first that have waited longest; a rest sends all away. */
  function advance(set: HostSet): void {
    const places = allowed(set.state, now());
    if (places === 0) for (const next of set.line.splice(0)) next(turnedAway(set));
    while (set.line.length > 0 && set.running < places) {
      set.running++;
      set.line.shift()!(undefined);
    }
    tell(set);
  }

  /** What is forgotten begins anew with two sessions: no harm an hour after its last rest, in the store as here. */
  function forgetIdle(): void {
    for (const set of sets.values()) {
      const { key, running, line, state, stored } = set;
      const rested = Math.abs(state.blockedUntil - now()) > HOUR;
      if (running > 0 || line.length > 0 || !rested) continue;
      clearTimeout(set.wake);
      sets.delete(key);
      if (stored) operation.removePace(key).catch(failed);
    }
    forgetAt = Math.max(MAX_SETS, 2 * sets.size); // looking at all of them must stay rare
  }

  /** Not for each place that gets free: whoever is told claims several messages at once. */
  function tell(set: HostSet): void {
    if (set.starved.size === 0 || roomOf(set) < capacity(set.state, now()) / 2 || roomOf(set) === 0) return;
    const starved = [...set.starved];
    set.starved.clear();
    for (const destination of starved) for (const listener of listeners) listener(destination);
  }

  function roomOf(set: HostSet): number {
    return Math.max(0, capacity(set.state, now()) - set.running - set.line.length);
  }

  function wakeWhenRested(set: HostSet): void {
    clearTimeout(set.wake);
    if (!isResting(set.state, now())) advance(set);
    else set.wake = setTimeout(() => wakeWhenRested(set), set.state.blockedUntil - now()).unref();
  }

  /** A store that fails costs the memory of a rest, no mail. */
  function failed(error: unknown): void {
    log.event.error('pacingNotStored', { error });
  }

  function change(set: HostSet, state: PaceState, reason: string): void {
    const before = set.state;
    set.state = state;
    if (state.blockedUntil !== before.blockedUntil && isResting(state, now())) {
      wakeWhenRested(set);
      set.stored = true;
      const { limit, blockedUntil, failures } = state;
      log.event.warn('resting', { hosts: describe(set.key), until: new Date(blockedUntil).toISOString(), failures, reason });
      operation.putPace({ key: set.key, concurrency: limit, blockedUntil, reason, failures }).catch(failed);
    } else if (set.stored && state.failures === 0 && !isResting(state, now())) {
      set.stored = false;
      operation.removePace(set.key).catch(failed);
    }
  }

  return {
    enter(key, destination, signal) {
      if (keys.get(destination) !== key) keys.set(destination, key);
      const set = sets.get(key) ?? create(key, START);
      const places = allowed(set.state, now());
      if (places === 0) return turnedAway(set);
      if (set.running < places && set.line.length === 0) {
        set.running++;
        return undefined;
      }
      return new Promise((resolve) => {
        const next = (away: TurnedAway | undefined) => {
          forget();
          resolve(away);
        };
        const forget = aborts.on(signal, () => {
          set.line.splice(set.line.indexOf(next), 1);
          next(stopped());
        });
        set.line.push(next);
      });
    },
    leave(key, effect, reason) {
      const set = sets.get(key)!;
      set.running--;
      const state = paced(set.state, effect, { now: now(), max: concurrency() });
      if (state !== set.state) change(set, state, reason);
      advance(set);
    },
    lookingUp(destination, step) {
      const count = (unknown.get(destination) ?? 0) + step;
      if (count > 0) unknown.set(destination, count);
      else unknown.delete(destination);
      if (step < 0 && full.has(destination) && count <= ROOM_UNKNOWN / 2) {
        full.delete(destination);
        for (const listener of listeners) listener(destination);
      }
    },
    room(destination) {
      const set = setOf(destination);
      if (set === undefined) {
        const room = Math.max(0, ROOM_UNKNOWN - (unknown.get(destination) ?? 0));
        if (room < ROOM_UNKNOWN / 2) full.add(destination);
        return room;
      }
      const room = roomOf(set);
      if (room < capacity(set.state, now()) / 2 || room === 0) set.starved.add(destination);
      return room;
    },
    blockedUntil(destination) {
      const state = setOf(destination)?.state;
      return state !== undefined && isResting(state, now()) ? state.blockedUntil : undefined;
    },
    onRoom: (listener) => {
      listeners.push(listener);
    },
    resting() {
      let count = 0;
      for (const { state } of sets.values()) if (isResting(state, now())) count++;
      return count;
    },
    forgetWays: () => keys.clear(),
    close() {
      for (const { wake, line } of sets.values()) {
        clearTimeout(wake);
        for (const next of line.splice(0)) next(stopped());
      }
    },
  };
}

function stopped(): TurnedAway {
  return { verdict: judgeReturned('4.3.2', 'The relay is shutting down') };
}

/** `mx:a.example,b.example` as people read it; a long list is cut. */
function describe(key: string): string {
  const names = key.slice(key.indexOf(':') + 1);
  return names.length > 100 ? `${names.slice(0, 100)}…` : names;
}
