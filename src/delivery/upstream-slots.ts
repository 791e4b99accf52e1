/**
 * Connections at once to an upstream whose account has a limit: `maxConnections` of its routes. A connection has a slot from before it opens
 * until it is closed, also while it waits for the next message. Where several relays share the data, their store counts the slots of all.
 * An attempt that gets none waits, and is then handed back untried: this is no reason to return mail.
 */
import type { EventLog } from '../events/events.ts';
import type { Route } from '../smtp/route.ts';
import type { SlotStore } from '../store/store.ts';
import { onAbort } from '../system/abort.ts';
import { SECOND } from '../system/clock.ts';
import type { TurnedAway } from './places.ts';
import { upstreamOf } from './shaping/fallback.ts';
import { judgeReturned, STOPPED } from './verdict.ts';

/** An attempt waits no longer, so that its place is free for other mail. */
const PATIENCE = 30 * SECOND;
/** While an attempt waits for a slot of another relay, and while only connections are open. */
const ASK_AGAIN = SECOND;
const LOOK = 5 * SECOND;
/** A connection that is older takes no further message, so that other relays, and other hosts of the upstream, have their turns. */
const TURN = 10 * SECOND;

export type Slot = { readonly hosts: string };
/** `kept`: a connection to the upstream waits for its next message, and has a slot. */
export type SlotOutcome = Slot | TurnedAway | 'kept';
/** `insists`: the caller cannot use a connection that is kept, so that one is closed for it. */
type SlotRequest = { readonly signal: AbortSignal; readonly insists: boolean };

export type Slots = {
  /** Never rejects. @param hosts the key of the host set. */
  take(hosts: string, request: SlotRequest): Promise<SlotOutcome>;
  /** The connection is closed. */
  give(slot: Slot): void;
};

/** By the keys of the upstreams. Routes with the same hosts and login are one upstream, and the smallest number counts. */
export function upstreamLimits(routes: readonly Route[]): ReadonlyMap<string, number> {
  const limits = new Map<string, number>();
  for (const { maxConnections, ...route } of routes) {
    if (maxConnections === undefined) continue;
    const key = upstreamOf(route);
    limits.set(key, Math.min(maxConnections, limits.get(key) ?? Number.POSITIVE_INFINITY));
  }
  return limits;
}

/** @param openedAt by `performance.now()`. */
export function hasHadItsTurn(openedAt: number): boolean {
  return performance.now() - openedAt >= TURN;
}

type Waiting = { readonly insists: boolean; readonly told: (outcome: SlotOutcome) => void };

type SlotOptions = {
  /** undefined: no limit. */
  readonly limitOf: (hosts: string) => number | undefined;
  /** Absent: no other process has connections. */
  readonly store?: SlotStore | undefined;
  /** Closes a connection that is kept. */
  readonly drop: (hosts: string) => Promise<void>;
  readonly log: EventLog;
};

const crowded: TurnedAway = {
  verdict: judgeReturned('Waiting for a connection to the upstream: as many are open as `maxConnections` of its route allows'),
};
const stopped: TurnedAway = { verdict: STOPPED };

export class UpstreamSlots implements Slots {
  readonly #options: SlotOptions;
  readonly #upstreams = new Map<string, Upstream>();

  constructor(options: SlotOptions) {
    this.#options = options;
  }

  take(hosts: string, { signal, insists }: SlotRequest): Promise<SlotOutcome> {
    if (signal.aborted) return Promise.resolve(stopped);
    const upstream = this.#upstreams.get(hosts) ?? this.#create(hosts);
    return new Promise((resolve) => {
      const told = (outcome: SlotOutcome) => {
        clearTimeout(timer);
        forget();
        resolve(outcome);
      };
      const waiting = { insists, told };
      const timer = setTimeout(() => upstream.leave(waiting, crowded), PATIENCE).unref();
      const forget = onAbort(signal, () => upstream.leave(waiting, stopped));
      upstream.enter(waiting);
    });
  }

  give({ hosts }: Slot): void {
    this.#upstreams.get(hosts)?.give();
  }

  /** A connection waits for its next message. */
  noteIdle(hosts: string): void {
    this.#upstreams.get(hosts)?.offerKept();
  }

  /** The limits may be others. */
  followOptions(): void {
    for (const upstream of this.#upstreams.values()) upstream.turn();
  }

  close(): void {
    for (const upstream of this.#upstreams.values()) upstream.close();
  }

  #create(hosts: string): Upstream {
    const upstream = new Upstream(hosts, this.#options);
    this.#upstreams.set(hosts, upstream);
    return upstream;
  }
}

class Upstream {
  readonly #hosts: string;
  readonly #options: SlotOptions;
  readonly #line: Waiting[] = [];
  /** Slots that connections of this process have. */
  #held = 0;
  /** The store has a row. */
  #isKnown = false;
  #asking = false;
  #changed = false;
  #closed = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(hosts: string, options: SlotOptions) {
    this.#hosts = hosts;
    this.#options = options;
  }

  enter(waiting: Waiting): void {
    this.#line.push(waiting);
    this.turn();
  }

  leave(waiting: Waiting, outcome: TurnedAway): void {
    const at = this.#line.indexOf(waiting);
    if (at < 0) return;
    this.#line.splice(at, 1);
    waiting.told(outcome);
    this.turn();
  }

  give(): void {
    this.#held--;
    this.turn();
  }

  /** The first in line tries it. It comes again if the connection is of no use to it. */
  offerKept(): void {
    this.#line.shift()?.told('kept');
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    for (const { told } of this.#line.splice(0)) told(stopped);
  }

  /** Asks for what is wanted now, and says what is held. One question at a time. */
  turn(): void {
    if (this.#closed) return; // the store sees the end of this process
    this.#changed = true;
    if (!this.#asking) void this.#askAll();
  }

  async #askAll(): Promise<void> {
    this.#asking = true;
    clearTimeout(this.#timer);
    while (this.#changed) {
      this.#changed = false;
      const most = this.#options.limitOf(this.#hosts);
      if (this.#options.store === undefined || (most === undefined && !this.#isKnown)) this.#grantAlone(most);
      else await this.#askStore(this.#options.store, most);
    }
    this.#asking = false;
    if (this.#closed || this.#options.store === undefined || this.#line.length + this.#held === 0) return;
    const pause = this.#line.length > 0 ? ASK_AGAIN * (0.75 + Math.random() / 2) : LOOK;
    this.#timer = setTimeout(() => this.turn(), pause).unref();
  }

  #grantAlone(most = Number.POSITIVE_INFINITY): void {
    this.#grant(Math.min(this.#line.length, most - this.#held));
    if (this.#line.some(({ insists }) => insists)) this.#drop();
  }

  async #askStore(store: SlotStore, most: number | undefined): Promise<void> {
    // Without a limit only the row has to go.
    const ask = most === undefined ? { most: 1, held: 0, waiting: 0 } : { most, held: this.#held, waiting: this.#line.length };
    try {
      const { granted, othersWait } = await store.ask({ upstream: this.#hosts, ...ask });
      this.#isKnown = ask.held + ask.waiting > 0;
      this.#grant(granted);
      if (most === undefined) this.#grantAlone();
      else if (this.#line.length === 0 ? othersWait : this.#line.some(({ insists }) => insists)) this.#drop();
    } catch (error) {
      this.#options.log.emit('storeFailed', { operation: 'slots', error });
    }
  }

  #grant(count: number): void {
    const granted = Math.max(0, Math.min(count, this.#line.length));
    this.#held += granted;
    for (const { told } of this.#line.splice(0, granted)) told({ hosts: this.#hosts });
    if (granted < count) this.#changed = true; // the store is told that nobody waits for the others any more
  }

  #drop(): void {
    if (this.#held > 0) void this.#options.drop(this.#hosts).catch(() => {});
  }
}
