/** Attempts per MX host set: which may go now, which wait in memory, which come back later. Back-off is kept over a restart. */

import type { EventLog } from '../events/events.ts';
import type { OperationStore, Pace } from '../store/store.ts';
import { onAbort } from '../system/abort.ts';
import { type Cache, createCache } from '../system/cache.ts';
import { type Clock, HOUR, MINUTE, SECOND } from '../system/clock.ts';
import { HostRoom } from './host-room.ts';
import { type AttemptPlace, HostSet, isResting, type PaceState, restOf, START } from './host-set.ts';
import { type PacedDestination, pacedDestinations } from './paced-destination.ts';
import type { Entrant, LookUp, Places, TurnedAway } from './places.ts';
import { ReportPlaces } from './report-places.ts';
import { type KeptSessions, SessionPlaces } from './session-places.ts';
import type { Permit } from './shaping/permit.ts';
import { describeHosts, ProviderGate } from './shaping/provider-gate.ts';
import type { ProviderPace } from './shaping/provider-pace.ts';
import type { Heard } from './shaping/provider-way.ts';
import type { UpstreamSlots } from './upstream-slots.ts';
import { judgeReturned, type PaceEffect, STOPPED } from './verdict.ts';

type PacingOptions = {
  readonly operation: Pick<OperationStore, 'paces' | 'putPace' | 'removePace'>;
  readonly log: EventLog;
  readonly now: Clock;
  /** Sessions at once to one host set. */
  readonly concurrency: (key: string) => number;
  /** Sessions at once to all. */
  readonly maxSessions: () => number;
  readonly kept: KeptSessions;
  readonly slots: UpstreamSlots;
  /** What providers take, all their hosts together. Absent: no provider has limits. */
  readonly providers?: ProviderPace;
};

const stopped: TurnedAway = { verdict: STOPPED };

type Listener = (destination: string) => void;

/** What is kept beside a host set. */
type Surroundings = {
  readonly set: HostSet;
  /** Destinations that were told of little room. */
  readonly starved: Set<string>;
  wake: NodeJS.Timeout | undefined;
  stored: boolean;
  /** Of its last rest. */
  reason: string;
  /** The key of the provider, or of the set where the table has none. */
  provider: string;
};

/** For a destination whose hosts are not known yet. */
const ROOM_UNKNOWN = 10;
const MAX_KNOWN = 50_000;
/** So long a wish for an attempt waits for mail that makes it. */
const MAX_WISH = 5 * MINUTE;
/** Until what was handed back because too many wait for a session comes again. */
const CROWDED_PAUSE = 30 * SECOND;
/** The operator is told of a crowd at most this often. */
const TELL_EVERY = MINUTE;
/** Above this the idle ones are forgotten. */
const MAX_SETS = 20_000;

export class Pacing implements Places {
  readonly slots: UpstreamSlots;
  readonly #options: PacingOptions;
  readonly #sets = new Map<string, Surroundings>();
  /** The host set that a destination had when it was last looked up. */
  readonly #keys: Cache<string, string> = createCache(MAX_KNOWN);
  /** Destinations for which the operator has asked for an attempt now, and when: the next one lifts the rest that it meets. */
  readonly #wishes: Cache<string, number> = createCache(MAX_KNOWN, MAX_WISH);
  /** Look-ups under way. */
  readonly #lookUps = new Map<string, number>();
  /** Destinations that were told of little room while they were looked up. */
  readonly #full = new Set<string>();
  readonly #listeners: Listener[] = [];
  readonly #sessions: SessionPlaces;
  readonly #hostRoom: HostRoom;
  readonly #gate: ProviderGate | undefined;
  readonly #reports: ReportPlaces;
  #ways = 0;
  #forgetAt = MAX_SETS;
  #toldOfCrowd = Number.NEGATIVE_INFINITY;
  #closed = false;

  private constructor(options: PacingOptions) {
    this.#options = options;
    this.slots = options.slots;
    this.#gate = options.providers && new ProviderGate(options.providers);
    this.#sessions = new SessionPlaces({ max: options.maxSessions, kept: options.kept });
    this.#hostRoom = new HostRoom({ most: options.concurrency, drop: (hosts) => options.kept.drop(hosts) });
    this.#reports = new ReportPlaces(options.maxSessions, options.now);
  }

  /** With the rests of earlier processes. Rejects where the store fails. */
  static async start(options: PacingOptions): Promise<Pacing> {
    const pacing = new Pacing(options);
    for (const stored of await options.operation.paces()) pacing.#restore(stored);
    return pacing;
  }

  lookUp(destination: string): LookUp {
    this.#lookUps.set(destination, (this.#lookUps.get(destination) ?? 0) + 1);
    return { destination, ways: this.#ways };
  }

  lookedUp({ destination }: LookUp): void {
    const count = (this.#lookUps.get(destination) ?? 0) - 1;
    if (count > 0) this.#lookUps.set(destination, count);
    else this.#lookUps.delete(destination);
    if (count <= ROOM_UNKNOWN / 2 && this.#full.delete(destination)) this.tell(destination);
  }

  /** A place under the limits of the host set and of all sessions: at once, or when it comes. */
  enter(entrant: Entrant): AttemptPlace | TurnedAway | Promise<AttemptPlace | TurnedAway> {
    const { key, lookUp, sender, signal } = entrant;
    if (signal.aborted) return stopped;
    const { destination, ways } = lookUp;
    if (ways === this.#ways && this.#keys.get(destination) !== key) this.#keys.set(destination, key);
    const around = this.#sets.get(key) ?? this.#create(key, START);
    const { set } = around;
    if (entrant.provider !== undefined) around.provider = entrant.provider;
    const held = this.#gate?.refusal(around.provider, entrant);
    if (held === 'probe') set.lift(this.#options.now());
    else if (held !== undefined) return held;
    const wishedAt = this.#wishes.size > 0 ? this.#wishes.get(destination) : undefined;
    if (wishedAt !== undefined) {
      this.#wishes.delete(destination);
      set.lift(wishedAt);
    }
    const rest = restOf(set, sender);
    if (rest !== undefined) return rest;
    return entrant.reportOf === undefined ? this.#enterSet(set, entrant) : this.#enterReport(set, entrant, entrant.reportOf);
  }

  /** Gives the place back. @param reason what the hosts said, for the operator. */
  leave(place: AttemptPlace, effect: PaceEffect, reason: string, heard: readonly Heard[] = []): void {
    const { set, sender } = place;
    const around = this.#sets.get(set.key)!;
    this.#gate?.leave(around.provider, place.permit, heard);
    const before = set.state;
    const senderBefore = set.senderBlockedUntil(sender);
    set.leave(place, effect);
    const senderUntil = set.senderBlockedUntil(sender);
    if (senderUntil !== undefined && senderUntil !== senderBefore) this.#logRest(set, senderUntil, { sender, reason });
    if (set.state !== before) this.#changed(around, before, reason);
    this.#advance(around, place.home);
    this.#sessions.give(place);
    this.#reports.delete(place);
  }

  /** How many more attempts a destination takes. A caller that is told of little is told when there is more. */
  room(destination: string): number {
    const around = this.#around(destination);
    if (around === undefined) {
      const room = Math.max(0, ROOM_UNKNOWN - (this.#lookUps.get(destination) ?? 0));
      if (room < ROOM_UNKNOWN / 2) this.#full.add(destination);
      return room;
    }
    const line = this.#gate?.line(around.provider);
    if (line?.isBlocked) return line.room(destination);
    if (around.set.isShort) around.starved.add(destination);
    const { room } = around.set;
    return line === undefined || room === 0 ? room : Math.min(room, line.room(destination));
  }

  /** The next attempt lifts a rest that it meets, and finds out the hosts anew: the ones that rest may no longer be those of the destination. */
  tryNow(destination: string): void {
    this.#wishes.set(destination, this.#options.now());
    this.#keys.delete(destination);
    this.tell(destination);
  }

  /** Undefined: it does not rest, or its hosts are not known. */
  blockedUntil(destination: string): number | undefined {
    const around = this.#around(destination);
    if (around === undefined) return undefined;
    const line = this.#gate?.line(around.provider);
    if (line?.isBlocked) return undefined;
    return around.set.resting ? around.set.state.blockedUntil : line?.blockedUntil();
  }

  onRoom(listener: Listener): void {
    this.#listeners.push(listener);
  }

  /** How many host sets rest now. */
  resting(): number {
    return [...this.#sets.values()].filter(({ set }) => set.resting).length;
  }

  /** The destinations whose hosts are known, as they are paced now. `sets`: how many sets of hosts there are. */
  inspect(): { readonly sets: number; readonly destinations: readonly PacedDestination[] } {
    const limits = { now: this.#options.now(), max: this.#options.concurrency };
    return { sets: this.#sets.size, destinations: pacedDestinations(this.#keys.entries(), this.#sets, limits) };
  }

  /** Which hosts a destination has is found out anew, and what began under the old settings tells nothing about hosts. */
  forgetWays(): void {
    this.#ways++;
    this.#keys.clear();
    for (const { set } of this.#sets.values()) {
      set.beginEra();
      // Where an operator mends a login or a host name of a route, mail must not wait for the rest that the old one brought.
      if (set.key.startsWith('route:')) set.lift(this.#options.now());
    }
    this.#sessions.advance(); // there may be more now
    this.slots.followOptions();
  }

  close(): void {
    this.#closed = true;
    this.slots.close();
    this.#sessions.sendAway();
    for (const { set, wake } of this.#sets.values()) {
      clearTimeout(wake);
      set.sendAway();
    }
  }

  #restore({ key, concurrency: limit, blockedUntil, failures, reason }: Pace): void {
    if (blockedUntil + HOUR < this.#options.now()) {
      this.#remove(key);
      return;
    }
    const around = this.#create(key, { ...START, limit, blockedUntil, failures });
    around.stored = true;
    around.reason = reason;
    this.#wakeWhenRested(around);
  }

  #create(key: string, state: PaceState): Surroundings {
    if (this.#sets.size >= this.#forgetAt) this.#forgetIdle();
    const { now, concurrency } = this.#options;
    const set = new HostSet(key, state, { now, max: () => concurrency(key) });
    const around: Surroundings = { set, starved: new Set(), wake: undefined, stored: false, reason: '', provider: key };
    this.#sets.set(key, around);
    return around;
  }

  #around(destination: string): Surroundings | undefined {
    const key = this.#keys.get(destination);
    return key === undefined ? undefined : this.#sets.get(key);
  }

  #enterSet(set: HostSet, entrant: Entrant): AttemptPlace | TurnedAway | Promise<AttemptPlace | TurnedAway> {
    const place = set.take(entrant.sender, entrant.home);
    return place === undefined ? this.#wait(set, entrant) : this.#begin(place, entrant);
  }

  #enterReport(
    set: HostSet,
    entrant: Entrant,
    acceptedAt: number,
  ): AttemptPlace | TurnedAway | Promise<AttemptPlace | TurnedAway> {
    if (this.#reports.isFull) return this.#reportWaits(acceptedAt);
    if (this.#reports.isLate(acceptedAt)) return this.#enterLate(set, entrant);
    const place = set.takeSpare(entrant.sender);
    if (place === undefined) return this.#reportWaits(acceptedAt);
    if (!this.#sessions.takeSpare(place, entrant.message)) {
      set.leave(place, 'none');
      this.#advance(this.#sets.get(set.key)!);
      return this.#reportWaits(acceptedAt);
    }
    const permit = this.#gate?.enterNow(this.#sets.get(set.key)!.provider, entrant);
    if (permit === 'later') {
      set.leave(place, 'none');
      this.#advance(this.#sets.get(set.key)!);
      this.#sessions.give(place);
      return this.#reportWaits(acceptedAt);
    }
    if (permit !== undefined) place.permit = permit;
    this.#reports.add(place);
    return place;
  }

  async #enterLate(set: HostSet, entrant: Entrant): Promise<AttemptPlace | TurnedAway> {
    this.#reports.add(entrant);
    const place = await this.#enterSet(set, entrant);
    this.#reports.delete(entrant);
    if (!('verdict' in place)) this.#reports.add(place);
    return place;
  }

  #reportWaits(acceptedAt: number): TurnedAway {
    return {
      verdict: judgeReturned("Waiting for a session: people's mail goes before reports about TLS"),
      notBefore: this.#reports.nextTry(acceptedAt),
    };
  }

  #wait(set: HostSet, entrant: Entrant): Promise<AttemptPlace | TurnedAway> {
    const { sender, signal, home } = entrant;
    return new Promise((resolve) => {
      const told = (place: AttemptPlace | undefined) => {
        forget();
        resolve(place === undefined ? (restOf(set, sender) ?? stopped) : this.#begin(place, entrant));
      };
      const leaveLine = set.wait(sender, told, home);
      const forget = onAbort(signal, () => {
        leaveLine();
        resolve(stopped);
      });
    });
  }

  /** The set has a place: now one of its provider, and one among all sessions. */
  #begin(place: AttemptPlace, entrant: Entrant): AttemptPlace | TurnedAway | Promise<AttemptPlace | TurnedAway> {
    const answer = this.#gate?.enter(this.#sets.get(entrant.key)!.provider, entrant);
    if (answer === undefined) return this.#beginSession(place, entrant);
    return answer instanceof Promise
      ? answer.then((late) => this.#permitted(place, entrant, late))
      : this.#permitted(place, entrant, answer);
  }

  #permitted(place: AttemptPlace, entrant: Entrant, answer: Permit | TurnedAway) {
    if ('way' in answer) {
      place.permit = answer;
      return this.#beginSession(place, entrant);
    }
    place.set.leave(place, 'none');
    this.#advance(this.#sets.get(place.set.key)!);
    return answer;
  }

  #beginSession(place: AttemptPlace, entrant: Entrant): AttemptPlace | Promise<AttemptPlace | TurnedAway> {
    if (this.#sessions.take(place, entrant.message)) return place;
    this.#tellOfCrowd();
    return this.#waitForSession(place, entrant);
  }

  #waitForSession(place: AttemptPlace, { message, sender, signal }: Entrant): Promise<AttemptPlace | TurnedAway> {
    const { set } = place;
    return new Promise((resolve) => {
      let leaveLine = () => {};
      const turnAway = (why: TurnedAway) => {
        set.leave(place, 'none');
        const around = this.#sets.get(set.key)!;
        this.#gate?.leave(around.provider, place.permit, []);
        this.#advance(around);
        resolve(why);
      };
      const forget = onAbort(signal, () => {
        leaveLine();
        turnAway(stopped);
      });
      leaveLine = this.#sessions.wait(place, message, (granted) => {
        forget();
        // The hosts may have begun to rest meanwhile.
        const rest = granted ? restOf(set, sender) : this.#closed ? stopped : this.#crowded();
        if (rest === undefined) return resolve(place);
        turnAway(rest);
        if (granted) this.#sessions.give(place);
      });
    });
  }

  #crowded(): TurnedAway {
    const text = 'Waiting for a session: as many as the relay may have are under way';
    return { verdict: judgeReturned(text), notBefore: this.#options.now() + CROWDED_PAUSE };
  }

  #tellOfCrowd(): void {
    const now = this.#options.now();
    if (Math.abs(now - this.#toldOfCrowd) < TELL_EVERY) return;
    this.#toldOfCrowd = now;
    this.#options.log.emit('sessionsCrowded', { sessions: this.#sessions.taken, most: this.#options.maxSessions() });
  }

  /** @param home of the attempt whose place is free. */
  #advance(around: Surroundings, home?: number): void {
    const { set, starved } = around;
    set.advance(home);
    // Not for each place that gets free: the listener claims several messages at once.
    if (starved.size === 0 || set.isShort) return;
    const told = [...starved];
    starved.clear();
    for (const destination of told) this.tell(destination);
  }

  /** A destination has room again. */
  tell(destination: string): void {
    for (const listener of this.#listeners) listener(destination);
  }

  /** Whether `makeRoom` has nothing to do. */
  readonly hasRoom = ({ set }: AttemptPlace): boolean => this.#hostRoom.isThere(set);

  readonly makeRoom = ({ set }: AttemptPlace): Promise<void> => this.#hostRoom.make(set);

  /** A session of a host set is kept, or no longer. */
  readonly noteIdle = (hosts: string, change: 1 | -1, isLeaving = false): void => {
    this.#hostRoom.note(hosts, change);
    if (change > 0 && !isLeaving) this.slots.noteIdle(hosts);
    this.#gate?.noteKept(this.#sets.get(hosts)?.provider, hosts, change);
  };

  /** Drops idle host sets an hour after their last rest, here and in the store. A set that is met again starts at two sessions. */
  #forgetIdle(): void {
    for (const { set, wake, stored } of this.#sets.values()) {
      const rested = Math.abs(set.state.blockedUntil - this.#options.now()) > HOUR;
      if (!set.idle || !rested) continue;
      clearTimeout(wake);
      this.#sets.delete(set.key);
      if (stored) this.#remove(set.key);
    }
    this.#forgetAt = Math.max(MAX_SETS, 2 * this.#sets.size); // looking at all of them must stay rare
  }

  #wakeWhenRested(around: Surroundings): void {
    const { set, wake } = around;
    clearTimeout(wake);
    if (!set.resting) this.#advance(around);
    else around.wake = setTimeout(() => this.#wakeWhenRested(around), set.state.blockedUntil - this.#options.now()).unref();
  }

  #changed(around: Surroundings, before: PaceState, reason: string): void {
    const { operation, now } = this.#options;
    const { set } = around;
    const { key, state } = set;
    if (state.blockedUntil !== before.blockedUntil && isResting(state, now())) {
      this.#wakeWhenRested(around);
      around.stored = true;
      around.reason = reason;
      const { limit: concurrency, blockedUntil, failures } = state;
      this.#logRest(set, blockedUntil, { failures, reason });
      operation.putPace({ key, concurrency, blockedUntil, reason, failures }).catch(this.#failed);
    } else if (around.stored && state.failures === 0 && !set.resting) {
      around.stored = false;
      this.#remove(key);
    }
  }

  #logRest({ key }: HostSet, until: number, why: { failures?: number; sender?: string; reason: string }): void {
    this.#options.log.emit('resting', { hosts: describeHosts(key), until: new Date(until).toISOString(), ...why });
  }

  #remove(key: string): void {
    this.#options.operation.removePace(key).catch(this.#failed);
  }

  /** A store that fails costs the memory of a rest, no mail. */
  readonly #failed = (error: unknown): void => {
    this.#options.log.emit('pacingNotStored', { error });
  };
}
