/**
 * How much one MX host set gets at a time: behaviour rule 17. It starts with two sessions, gains one with each clean delivery,
 * halves when the hosts ask for less, and rests after a failure: a minute at first, doubling to an hour. After a rest one
 * attempt goes first.
 */
import { type Clock, HOUR, MINUTE } from '../system/clock.ts';
import type { PaceEffect } from './verdict.ts';

export type PaceState = {
  /** Sessions at a time. */
  readonly limit: number;
  /** Rests in a row, without a clean delivery between them. */
  readonly failures: number;
  /** Milliseconds since the epoch; in the past: open. */
  readonly blockedUntil: number;
  /** Requests for less in a row. */
  readonly slowed: number;
};

export const START: PaceState = { limit: 2, failures: 0, blockedUntil: 0, slowed: 0 };

const MAX_REST = HOUR;
/** The attempt that was asked for, and the next. */
const ROOM_LIFTED = 2;
/** So many in a row are more than bad luck of single messages. */
const SLOWED_TO_REST = 5;
const REST_WHEN_SLOWED = MINUTE;

/**
 * No rest is longer than an hour: one that seems to be was begun by a clock that has been set back, and is over. It would stop
 * good mail for as long as the clock had been wrong.
 */
export function isResting({ blockedUntil }: PaceState, now: number): boolean {
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
    case 'block':
      // Sessions that were under way together fail together: that is one failure.
      if (resting) return state;
      return {
        limit: Math.max(1, Math.floor(limit / 2)),
        failures: failures + 1,
        blockedUntil: now + Math.min(MINUTE * 2 ** failures, MAX_REST),
        slowed: 0,
      };
    case 'alive':
      return failures > 0 && !resting ? { ...state, failures: 0 } : state;
    case 'none':
      return state;
  }
}

/**
 * The state after an attempt that the operator asked for during a rest. Where the hosts answer, the rest is over; where they do not,
 * it stands as it was: who asks often does not make it longer.
 */
export function tried(state: PaceState, effect: PaceEffect): PaceState {
  return effect === 'clean' || effect === 'alive' ? { ...state, failures: 0, blockedUntil: 0, slowed: 0 } : state;
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
 * A place under the limit of a host set, for one attempt. `era`: how often the set had rested when the attempt began; `asked`: the
 * operator asked for it during a rest.
 */
export type Place = { readonly set: HostSet; readonly era: number; readonly asked: boolean };

/** Told of a place, or of none: the set rests. */
type Waiting = (place: Place | undefined) => void;

export type HostSetOptions = {
  readonly now: Clock;
  /** Sessions at most, as configured. */
  readonly max: () => number;
};

/**
 * Who is with one set of hosts, and who waits. Only an attempt that began since the last rest tells anything about the set, and
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
  /** The rest is lifted for one attempt. */
  #lifted = false;

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

  /** A place that is free now, and that nobody waits for. */
  take(): Place | undefined {
    return this.#line.length === 0 && this.#running < this.#places ? this.#place() : undefined;
  }

  /** Lifts a rest for one attempt, unless one has begun since `askedAt`, milliseconds since the epoch. */
  lift(askedAt: number): void {
    if (this.#rests && askedAt >= this.#begunAt) this.#lifted = true;
  }

  /** @param told is called once, with a place or without one when the set rests. @returns leaves the line. */
  wait(told: Waiting): () => void {
    this.#line.push(told);
    return () => {
      const at = this.#line.indexOf(told);
      if (at >= 0) this.#line.splice(at, 1);
    };
  }

  /** Gives the place back. What it has brought stands in `state`. */
  leave({ era, asked }: Place, effect: PaceEffect): void {
    if (asked) this.#lifted = false;
    if (era !== this.#era) {
      this.#older--;
      return;
    }
    this.#running--;
    const now = this.#options.now();
    const before = this.#state;
    this.#state = asked && this.#rests ? tried(before, effect) : paced(before, effect, { now, max: this.#options.max() });
    if (this.#state.blockedUntil !== before.blockedUntil && isResting(this.#state, now)) this.beginEra();
  }

  /** What runs now tells nothing about the set from here on: it rests, or the settings have changed. */
  beginEra(): void {
    this.#era++;
    this.#older += this.#running;
    this.#running = 0;
  }

  /** Lets those go first that have waited longest; a rest sends all away. */
  advance(): void {
    if (this.resting) this.sendAway();
    const places = this.#places;
    while (this.#line.length > 0 && this.#running < places) this.#line.shift()!(this.#place());
  }

  /** All that wait. */
  sendAway(): void {
    for (const told of this.#line.splice(0)) told(undefined);
  }

  #place(): Place {
    this.#running++;
    this.#begunAt = this.#options.now();
    return { set: this, era: this.#era, asked: this.#rests };
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
