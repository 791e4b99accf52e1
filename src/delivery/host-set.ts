/**
 * How much one MX host set gets at a time: behaviour rule 17. It starts with two sessions, gains one with each clean delivery,
 * halves when the hosts ask for less, and rests after a failure: a minute at first, doubling to an hour. After a rest one
 * attempt goes first. A sender that the hosts refuse rests alone.
 */
import { type Clock, HOUR, MINUTE } from '../system/clock.ts';
import type { TurnedAway } from './places.ts';
import type { Permit } from './shaping/permit.ts';
import { describeHosts } from './shaping/provider-gate.ts';
import { judgeReturned, type PaceEffect } from './verdict.ts';

export type PaceState = {
  /** Sessions at a time. */
  readonly limit: number;
  /** Rests in a row, without a clean delivery between them. */
  readonly failures: number;
  /** Milliseconds since the epoch; in the past: open. */
  readonly blockedUntil: number;
  /** Requests for less, and senders refused, in a row. */
  readonly slowed: number;
};

export const START: PaceState = { limit: 2, failures: 0, blockedUntil: 0, slowed: 0 };

const MAX_REST = HOUR;
/** Senders remembered of one set; the oldest is forgotten, and tried earlier than it might be. */
const MAX_SENDERS = 100;
/** The attempt that was asked for, and the next. */
const ROOM_LIFTED = 2;
/** So many in a row are more than bad luck of single messages. */
const SLOWED_TO_REST = 5;
const REST_WHEN_SLOWED = MINUTE;
/** A place stays with its thread, which keeps the session, for so many attempts in a row while others wait. */
const STAYS_IN_THREAD = 16;

/**
 * No rest is longer than an hour: one that seems to be was begun by a clock that has been set back, and is over. It would stop
 * good mail for as long as the clock had been wrong.
 */
export function isResting({ blockedUntil }: Pick<PaceState, 'blockedUntil'>, now: number): boolean {
  return blockedUntil > now && blockedUntil <= now + MAX_REST;
}

/** The state after an attempt. @param max the configured concurrency. */
export function paced(state: PaceState, effect: PaceEffect, { now, max }: { now: number; max: number }): PaceState {
  const { limit, failures, slowed } = state;
  const resting = isResting(state, now);
  switch (effect) {
    case 'clean':
      // What succeeds while others fail does not end a rest; what succeeds after it does.
      if (resting) return state;
      return limit >= max && failures === 0 && slowed === 0
        ? state
        : { limit: Math.min(limit + 1, max), failures: 0, blockedUntil: 0, slowed: 0 };
    case 'slow': {
      const half = Math.max(1, Math.floor(limit / 2));
      if (slowed + 1 < SLOWED_TO_REST) return { ...state, limit: half, slowed: slowed + 1 };
      return {
        ...state,
        limit: half,
        slowed: 0,
        blockedUntil: Math.max(resting ? state.blockedUntil : 0, now + REST_WHEN_SLOWED),
      };
    }
    case 'sender': {
      const answering = resting ? state : { ...state, failures: 0 };
      if (slowed + 1 < SLOWED_TO_REST) return { ...answering, slowed: slowed + 1 };
      // So many senders are refused for what we are, not for what each of them is.
      return { ...answering, slowed: 0, blockedUntil: Math.max(resting ? state.blockedUntil : 0, now + REST_WHEN_SLOWED) };
    }
    case 'block':
      // Sessions that were under way together fail together: that is one failure.
      if (resting) return state;
      return {
        limit: Math.max(1, Math.floor(limit / 2)),
        failures: failures + 1,
        blockedUntil: now + restAfter(failures),
        slowed: 0,
      };
    case 'alive':
      return failures > 0 && !resting ? { ...state, failures: 0 } : state;
    case 'none':
      return state;
  }
}

/** @param failures in a row before this one. */
function restAfter(failures: number): number {
  return Math.min(MINUTE * 2 ** failures, MAX_REST);
}

/**
 * The state after an attempt that the operator asked for during a rest. Where the hosts answer, the rest is over; where they do not,
 * it stands as it was: asking often does not make it longer.
 */
function tried(state: PaceState, effect: PaceEffect): PaceState {
  return effect === 'clean' || effect === 'alive' || effect === 'sender'
    ? { ...state, failures: 0, blockedUntil: 0, slowed: 0 }
    : state;
}

/** Sessions that may run now. */
export function allowed(state: PaceState, now: number): number {
  if (isResting(state, now)) return 0;
  return state.failures > 0 ? 1 : state.limit;
}

/** Attempts that may run or wait in memory: enough that the next is at hand when one ends, so few that others are not hurt. */
export function capacity(state: PaceState, now: number): number {
  if (isResting(state, now)) return 0;
  return state.failures > 0 ? 2 : Math.max(8, 4 * state.limit);
}

/**
 * A place under the limit of a host set, for one attempt. `era`: how often the set had rested when the attempt began; `number`: attempts
 * are counted; `asked`: the operator asked for it during a rest.
 */
export type AttemptPlace = {
  readonly set: HostSet;
  readonly sender: string;
  readonly era: number;
  readonly number: number;
  readonly asked: boolean;
  /** The thread of the attempt. */
  readonly home: number;
  /** From the provider of the hosts, where it has limits of its own. */
  permit?: Permit;
};

/** `told` of a place, or of none: the set or the sender rests. */
type Waiting = { readonly sender: string; readonly home: number; readonly told: (place: AttemptPlace | undefined) => void };

/** `number`: the last attempt before it; what began up to then tells nothing new about the sender. */
type SenderRest = { readonly blockedUntil: number; readonly failures: number; readonly number: number };

type HostSetOptions = {
  readonly now: Clock;
  /** Sessions at most, as configured. */
  readonly max: () => number;
};

/**
 * The attempts that are with one set of hosts, and those that wait. Only an attempt that began since the last rest tells anything about the set, and
 * takes a place of it: one that began earlier and hangs neither fills the place of the first attempt after a rest nor rests the set anew.
 */
export class HostSet {
  readonly key: string;
  readonly #options: HostSetOptions;
  readonly #line: Waiting[] = [];
  #state: PaceState;
  #era = 0;
  /** Attempts of this era. */
  #running = 0;
  /** Attempts of earlier eras that have not ended. */
  #older = 0;
  /** When the last attempt began, milliseconds since the epoch. */
  #begunAt = Number.NEGATIVE_INFINITY;
  #answers = false;
  /** Attempts so far. */
  #number = 0;
  /** The rest is lifted for one attempt. */
  #lifted = false;
  /** How often in a row a place stayed with its thread. */
  #stayed = 0;
  readonly #senders = new Map<string, SenderRest>();
  /** Whose mail the hosts have asked less of since the last clean delivery. */
  readonly #slowed = new Set<string>();

  constructor(key: string, state: PaceState, options: HostSetOptions) {
    this.key = key;
    this.#state = state;
    this.#options = options;
  }

  get state(): PaceState {
    return this.#state;
  }

  /** No attempt may begin. */
  get resting(): boolean {
    return this.#rests && !this.#lifted;
  }

  /** The hosts have answered since their last failure. */
  get answers(): boolean {
    return this.#answers;
  }

  /** Nothing runs or waits here. */
  get idle(): boolean {
    return this.#running + this.#older + this.#line.length === 0;
  }

  /** Attempts that may come now, to run or to wait. */
  get room(): number {
    return Math.max(0, this.#capacity - this.#running - this.#line.length);
  }

  /** So little room that it is not worth a claim. */
  get isShort(): boolean {
    const { room } = this;
    return room === 0 || room < this.#capacity / 2;
  }

  /** Until when mail of this sender waits, though the set may not rest; undefined: it does not. */
  senderBlockedUntil(sender: string): number | undefined {
    const rest = this.#senders.size > 0 ? this.#senders.get(sender) : undefined;
    return rest !== undefined && isResting(rest, this.#options.now()) ? rest.blockedUntil : undefined;
  }

  /** A place that is free now, and that no attempt waits for. */
  take(sender: string, home = 0): AttemptPlace | undefined {
    return this.#line.length === 0 && this.#running < this.#places ? this.#place(sender, home) : undefined;
  }

  /** The same for what may wait: one place stays free for mail, unless nothing else is under way here. */
  takeSpare(sender: string): AttemptPlace | undefined {
    return this.#running === 0 || this.#running + 1 < this.#places ? this.take(sender) : undefined;
  }

  /** Lifts the rests of senders, and that of the set for one attempt, unless one has begun since `askedAt`, milliseconds since the epoch. */
  lift(askedAt: number): void {
    this.#senders.clear();
    if (this.#rests && askedAt >= this.#begunAt) this.#lifted = true;
  }

  /** @param told is called once, with a place or without one when the set or the sender rests. @returns leaves the line. */
  wait(sender: string, told: Waiting['told'], home = 0): () => void {
    const waiting = { sender, told, home };
    this.#line.push(waiting);
    return () => {
      const at = this.#line.indexOf(waiting);
      if (at >= 0) this.#line.splice(at, 1);
    };
  }

  /** Gives the place back. What it has brought stands in `state` and `senderBlockedUntil`. */
  leave(place: AttemptPlace, effect: PaceEffect): void {
    if (place.asked) this.#lifted = false;
    if (place.era !== this.#era) {
      this.#older--;
      return;
    }
    this.#running--;
    if (effect !== 'none') this.#answers = effect !== 'block';
    const now = this.#options.now();
    const before = this.#state;
    const seen = this.#seen(place, effect);
    const after = place.asked && this.#rests ? tried(before, seen) : paced(before, seen, { now, max: this.#options.max() });
    const begins = after.blockedUntil !== before.blockedUntil && isResting(after, now);
    // What one sender alone has brought about concerns that sender alone.
    const byOne = begins && seen === 'slow' && this.#slowed.size === 1;
    this.#state = byOne ? { ...after, blockedUntil: before.blockedUntil } : after;
    if (byOne) this.#restSender(place);
    else if (begins) this.beginEra();
  }

  /** What an effect means for the set, once the sender has had its part of it. */
  #seen(place: AttemptPlace, effect: PaceEffect): PaceEffect {
    const { sender, number } = place;
    const rest = this.#senders.get(sender);
    if (effect === 'slow') this.#slowed.add(sender);
    if (effect === 'clean') {
      this.#slowed.clear();
      if (rest !== undefined && number > rest.number) this.#senders.delete(sender);
    }
    if (effect !== 'sender') return effect;
    this.#restSender(place);
    return rest === undefined ? 'sender' : 'alive'; // each sender counts once
  }

  #restSender({ sender, number }: AttemptPlace): void {
    const known = this.#senders.get(sender);
    if (known !== undefined && number <= known.number) return;
    const failures = known?.failures ?? 0;
    this.#senders.delete(sender);
    if (this.#senders.size >= MAX_SENDERS) this.#senders.delete(this.#senders.keys().next().value!);
    const blockedUntil = this.#options.now() + restAfter(failures);
    this.#senders.set(sender, { blockedUntil, failures: failures + 1, number: this.#number });
  }

  /** What runs now tells nothing about the set from here on: it rests, or the settings have changed. */
  beginEra(): void {
    this.#era++;
    this.#older += this.#running;
    this.#running = 0;
  }

  /** Attempts that have a place. */
  get running(): number {
    return this.#running + this.#older;
  }

  /** Attempts that wait for a place. */
  get waiting(): number {
    return this.#line.length;
  }

  /** Lets those go first that have waited longest; a rest sends all away. @param home the thread of the place that is free. */
  advance(home = 0): void {
    if (this.#line.length === 0) return;
    if (this.resting) this.sendAway();
    const places = this.#places;
    while (this.#line.length > 0 && this.#running < places) {
      const [next] = this.#line.splice(this.#nextFor(home), 1);
      const { sender, told, home: its } = next!;
      told(this.senderBlockedUntil(sender) === undefined ? this.#place(sender, its) : undefined);
    }
  }

  /** The index of the first in line, or of the first one of the same thread for a while. */
  #nextFor(home: number): number {
    const isFirst = this.#line[0]!.home === home;
    const at = isFirst || this.#stayed >= STAYS_IN_THREAD ? -1 : this.#line.findIndex((one) => one.home === home);
    this.#stayed = at < 0 ? 0 : this.#stayed + 1;
    return Math.max(at, 0);
  }

  /** All that wait. */
  sendAway(): void {
    for (const { told } of this.#line.splice(0)) told(undefined);
  }

  #place(sender: string, home: number): AttemptPlace {
    this.#running++;
    this.#begunAt = this.#options.now();
    return { set: this, sender, era: this.#era, number: ++this.#number, asked: this.#rests, home };
  }

  get #rests(): boolean {
    return isResting(this.#state, this.#options.now());
  }

  /** For attempts of this era. All together stay within the configured number: at a rest one of them has ended, so one place is left. */
  get #places(): number {
    const places = this.#rests ? Number(this.#lifted) : allowed(this.#state, this.#options.now());
    return Math.min(places, this.#options.max() - this.#older);
  }

  get #capacity(): number {
    return this.#rests && this.#lifted ? ROOM_LIFTED : capacity(this.#state, this.#options.now());
  }
}

/** Undefined: mail of this sender may go there now. */
export function restOf(set: HostSet, sender: string): TurnedAway | undefined {
  const until = set.senderBlockedUntil(sender);
  if (!set.resting && until === undefined) return undefined;
  const whose = set.resting ? '' : ` for mail from <${sender}>`;
  return {
    verdict: judgeReturned(`Waiting until ${describeHosts(set.key)} may be tried again${whose}`),
    notBefore: Math.max(until ?? 0, set.resting ? set.state.blockedUntil : 0),
  };
}
