/** One provider: its ways, the attempts that wait for a permit, the connections that are kept, and the mail that is held. */

import type { Shaping } from '../../store/store.ts';
import { onAbort } from '../../system/abort.ts';
import { HOUR, SECOND } from '../../system/clock.ts';
import { strongest } from './heard.ts';
import { KeptConnections } from './kept-connections.ts';
import { noteNeighbours, sourcesOf, usableWays } from './own-addresses.ts';
import type { BlockNews, Permit, ProviderEntrant, ProviderWait } from './permit.ts';
import type { ProviderPaceOptions } from './provider-pace.ts';
import { type Heard, ProviderWay, type Way, type WayLimits, type WayRefusal, wayKey } from './provider-way.ts';
import type { DomainRest } from './refusals.ts';
import { WarmUp } from './warm-up.ts';

/** Attempts for a blocked provider, which are turned away at once: so each message learns why it waits. */
const ROOM_BLOCKED = 20;
/** A message waits in memory at most so long for its turn. */
const WAITS = 5 * SECOND;
/** Timers look again at least so often, because the clock may jump. */
export const LOOK = SECOND;
/** Held mail does not come by itself for so long after a probe or in a half-open state: it is released by its age. */
const COMES_BY_ITSELF = 4 * HOUR;
/** Held mail that becomes due each second, at most. */
const RELEASED = 20;

type LineOptions = Omit<ProviderPaceOptions, 'find' | 'concurrency'> & {
  readonly limits: () => WayLimits;
  readonly changed: (row: Shaping) => void;
  /** Its mail leaves by its fallback upstream now. */
  readonly diverts: (line: ProviderLine) => boolean;
};

type WaitingEntrant = { readonly entrant: ProviderEntrant; readonly told: (answer: Permit | ProviderWait | undefined) => void };

export class ProviderLine {
  readonly key: string;
  readonly #options: LineOptions;
  readonly #ways = new Map<string, ProviderWay>();
  readonly #waiting: WaitingEntrant[] = [];
  readonly #starved = new Set<string>();
  readonly #connections: KeptConnections;
  /** The way of the last answer, which is tried first. */
  #last = '';
  #wake: NodeJS.Timeout | undefined;
  #releasing = false;
  /** Mail may be held for it. */
  #mayHold = false;

  constructor(key: string, options: LineOptions) {
    this.key = key;
    this.#options = options;
    this.#connections = new KeptConnections({
      drop: options.drop,
      running: () => this.#running,
      most: ({ way }) => Math.max(this.#ways.get(way)!.allowance(options.now()).sessions, 1),
    });
  }

  get ways(): readonly ProviderWay[] {
    return [...this.#ways.values()];
  }

  /** Nothing is known or under way that would be missed. */
  get isUsual(): boolean {
    const now = this.#options.now();
    return this.#waiting.length === 0 && this.ways.every((way) => way.running === 0 && way.state(now).kind === 'open');
  }

  /** The provider refuses each address of ours that it has seen. */
  get isBlocked(): boolean {
    if (this.#ways.size === 0) return false;
    const now = this.#options.now();
    for (const way of this.#ways.values()) if (!way.holds(now)) return false;
    return true;
  }

  /** Each address that it has seen is refused for what it is, and may be helped by another way; since when. Undefined: not so. */
  refusal(): WayRefusal | undefined {
    const now = this.#options.now();
    const asked = this.ways.filter((way) => !way.isOut(now));
    const all = (asked.length === 0 ? this.ways : asked).map((way) => way.refusal(now));
    if (all.length === 0 || all.includes(undefined)) return undefined;
    const since = Math.max(...all.map((one) => one!.since));
    return { since, isThrottle: all.some((one) => one!.isThrottle) };
  }

  /** It only asks for less, and its mail leaves by another way meanwhile. Until when; undefined: not so. */
  divertedUntil(): number | undefined {
    if (!this.#options.diverts(this)) return undefined;
    const now = this.#options.now();
    return Math.max(now + SECOND, ...this.ways.map((way) => way.state(now).until));
  }

  /** Why this message has to wait though it has not asked for a permit; undefined: it may ask. */
  waitOf(entrant: ProviderEntrant): ProviderWait | undefined {
    const now = this.#options.now();
    const ways = entrant.ways.map((way) => this.#way(way));
    const mayAsk = ways.some((way) => !way.holds(now) || way.isProbe(entrant, now));
    return mayAsk ? undefined : this.#waitFor(ways, now, Number.POSITIVE_INFINITY);
  }

  restore(row: Shaping): void {
    const now = this.#options.now();
    const way = { family: row.family, ...(row.source === '' ? {} : { source: row.source }) };
    const known = this.#ways.get(wayKey(way));
    this.#mayHold = true;
    if (known === undefined) this.#ways.set(wayKey(way), new ProviderWay(way, this.#options.limits, now, row));
    else this.#following(known, () => known.restore(row, now));
    noteNeighbours(this.ways, this.#options.now());
    this.#advance();
  }

  /** What an operator holds stays held, whatever address we have. */
  forgetOthers(isOurs: (way: Way) => boolean): void {
    const now = this.#options.now();
    for (const way of this.ways) {
      if (isOurs(way.way) || way.running > 0 || (way.isBlocked(now) && way.isHeldByOperator)) continue;
      if (way.state(now).kind !== 'open') {
        way.open(now);
        this.#options.put(way.row(now));
        this.#mayHold = true;
      }
      this.#ways.delete(way.key);
    }
    this.#advance();
  }

  /** A permit: at once, or when it comes. Undefined: the relay stops. */
  enter(entrant: ProviderEntrant): Permit | ProviderWait | Promise<Permit | ProviderWait | undefined> {
    const answer = this.#grant(entrant, this.#waiting.length === 0);
    if (answer === 'wait') return this.#wait(entrant);
    return 'way' in answer ? this.#connections.admit(answer, entrant.hosts) : answer;
  }

  /** A permit that nothing has to wait for. */
  enterNow(entrant: ProviderEntrant): Permit | undefined {
    if (this.#waiting.length > 0) return undefined;
    const answer = this.#grant(entrant, true);
    if (answer === 'wait' || !('way' in answer)) return undefined;
    if (this.#connections.admitsNow(answer, entrant.hosts)) return answer;
    this.leave(answer, []);
    return undefined;
  }

  /** Gives the permit back; absent: the attempt had none. */
  leave(permit: Permit | undefined, heard: readonly Heard[]): void {
    const now = this.#options.now();
    const own = permit && this.#ways.get(permit.way);
    if (own !== undefined) own.running--;
    const facts = { beganAt: permit?.beganAt ?? now, now };
    const unheard: Heard[] =
      permit?.probe === true && own !== undefined && heard.length === 0 ? [{ ...own.way, kind: 'silent' }] : [];
    for (const one of strongest([...heard, ...unheard])) {
      const way = this.#way(one);
      if (one.kind === 'clean') this.#last = way.key;
      this.#following(way, () => {
        if (way.hear(one, { ...facts, probe: permit?.probe === true && way === own })) this.#options.changed(way.row(now));
        // Its message is held, and may leave by another address.
        if (one.kind === 'us' && way.isBlocked(now)) this.#mayHold = true;
      });
    }
    this.#connections.advance();
    this.#advance();
  }

  /** Attempts that may come now. A destination that is told of little is told when there is more. */
  room(destination: string): number {
    const now = this.#options.now();
    const { sessions, freeAt, blocked } = this.#open(now);
    if (blocked) return ROOM_BLOCKED;
    const under = this.#running + this.#waiting.length;
    const capacity = sessions === 0 || freeAt > now + WAITS ? 0 : Math.max(8, 4 * sessions);
    const room = Math.max(0, capacity - under);
    if (room === 0 || room < capacity / 2) {
      this.#starved.add(destination);
      this.#wakeAt(freeAt);
    }
    return room;
  }

  /** Undefined: mail may come now, or is told at once why it waits. */
  blockedUntil(): number | undefined {
    const now = this.#options.now();
    const { freeAt, blocked } = this.#open(now);
    return blocked || freeAt <= now + WAITS ? undefined : freeAt;
  }

  /** A connection of a host set is kept, or no longer. */
  noteKept(hosts: string, change: 1 | -1): void {
    this.#connections.note(hosts, change);
  }

  blocks(): readonly BlockNews[] {
    const now = this.#options.now();
    const blocked = this.ways.filter((way) => way.isBlocked(now));
    return blocked.map((one) => ({
      provider: this.key,
      way: one.way,
      cause: one.cause,
      state: 'blocked',
      since: one.state(now).since,
    }));
  }

  /** What the operator asks, for each address of ours. */
  obey(command: string): void {
    const now = this.#options.now();
    if (this.#ways.size === 0) this.#way({ family: 4 });
    for (const way of this.#ways.values()) {
      this.#following(way, () => {
        if (command === 'open') way.open(now);
        else if (command === 'hold') way.hold(now);
        else if (command === 'probe') way.probeNow(now);
        else return;
        this.#options.put(way.row(now));
      });
    }
    if (this.isBlocked) this.#mayHold = true;
    this.#advance();
  }

  /** Ends and begins what is due. @returns true while it has to be asked again. */
  look(): boolean {
    const now = this.#options.now();
    let busy = false;
    for (const way of this.#ways.values()) {
      const { kind } = way.state(now);
      if (kind === 'open' && way.isOut(now)) continue; // that ends by time, or with a block
      if (kind !== 'open' || way.allowance(now).sessions < this.#options.limits().sessions) busy = true;
      if (kind === 'blocked' && !way.isHeldByOperator && way.allowance(now).probe) void this.#probe(way);
    }
    if (this.isBlocked) this.#mayHold = true;
    else if (this.#mayHold) void this.#releaseHeld(now);
    this.#advance();
    return busy || this.#mayHold;
  }

  sendAway(): void {
    clearTimeout(this.#wake);
    for (const { told } of this.#waiting.splice(0)) told(undefined);
  }

  get #running(): number {
    let running = 0;
    for (const way of this.#ways.values()) running += way.running;
    return running;
  }

  #way(way: Way): ProviderWay {
    const key = wayKey(way);
    let known = this.#ways.get(key);
    if (known === undefined) {
      const now = this.#options.now();
      known = new ProviderWay(way, this.#options.limits, now);
      // What an operator holds is held by whatever address.
      const isHeld = this.ways.length > 0 && this.ways.every((one) => one.isBlocked(now) && one.isHeldByOperator);
      if (isHeld) known.hold(now);
      if (this.#options.warmsUp?.() === true && !this.key.includes(':')) known.warmUp = new WarmUp(now);
      this.#ways.set(key, known);
      noteNeighbours(this.ways, this.#options.now());
    }
    return known;
  }

  /** What all known ways take together. */
  #open(now: number): { readonly sessions: number; readonly freeAt: number; readonly blocked: boolean } {
    if (this.#ways.size === 0) return { sessions: this.#options.limits().sessions, freeAt: 0, blocked: false };
    let [sessions, freeAt, blocked] = [0, Number.POSITIVE_INFINITY, true];
    const diverts = this.#options.diverts(this);
    for (const way of usableWays(this.ways, now)) {
      if (way.holds(now) || diverts) continue;
      blocked = false;
      const may = way.allowance(now);
      sessions += may.sessions;
      freeAt = Math.min(freeAt, may.sessions === 0 ? way.state(now).until : may.freeAt);
    }
    return { sessions, freeAt, blocked };
  }

  #grant(entrant: ProviderEntrant, first: boolean): Permit | ProviderWait | 'wait' {
    const now = this.#options.now();
    const all = entrant.ways.map((way) => this.#way(way));
    // A probe is for one address, whatever others may do.
    const ways = all.filter((way) => way.isProbe(entrant, now) || usableWays(all, now).includes(way));
    const open = ways.filter((way) => way.allowance(now).sessions > 0);
    let waits = false;
    let until = Number.POSITIVE_INFINITY;
    let refusedBy: DomainRest | undefined;
    let isNew = false;
    for (const way of [...ways.filter(({ key }) => key === this.#last), ...ways.filter(({ key }) => key !== this.#last)]) {
      const probes = way.isProbe(entrant, now);
      const { sessions, freeAt } = way.allowance(now);
      const rest = way.recipientWaits(entrant.to, now);
      const warmUntil = way.warmUpWaits(entrant.priority, now);
      const domainUntil = rest?.until ?? way.senderWaits(entrant.domain, now) ?? warmUntil;
      if (probes) {
        way.probe = undefined;
      } else if (sessions === 0 || freeAt > now + WAITS || domainUntil !== undefined) {
        until = Math.min(until, Math.max(domainUntil ?? 0, sessions === 0 ? way.state(now).until : freeAt));
        refusedBy ??= rest;
        isNew ||= warmUntil !== undefined && domainUntil === warmUntil;
        continue;
      } else if (!first || way.running >= sessions || freeAt > now) {
        this.#wakeAt(freeAt);
        waits = true;
        continue;
      }
      if (way.begin(now)) this.#options.changed(way.row(now));
      const { provider } = entrant;
      const sources = sourcesOf(probes ? [way] : [way, ...open]);
      const closed = all.map((other) => other.way.family).filter((family) => !sources.some((one) => one.family === family));
      const refused = all.find((other) => closed.includes(other.way.family) && other.holds(now) && other.cause !== undefined);
      return {
        ...{ provider, way: way.key, sources, closed, perConnection: way.perConnection(now) },
        ...(refused?.cause !== undefined && { closedBy: { reply: refused.cause.reply, since: refused.state(now).since } }),
        ...{ probe: probes, beside: way.running - 1, beganAt: now },
        believed: { own: probes || way.believes(entrant.to, true, now), other: probes || way.believes(entrant.to, false, now) },
      };
    }
    if (waits) return 'wait';
    return { ...this.#waitFor(all, now, until), ...(isNew && { isNew }), ...(refusedBy !== undefined && { refusedBy }) };
  }

  #waitFor(ways: readonly ProviderWay[], now: number, open: number): ProviderWait {
    const blocked = ways.every((way) => way.holds(now)) ? ways.find(({ cause }) => cause !== undefined) : undefined;
    if (blocked?.cause === undefined) return { provider: this.key, until: Math.max(open, now + SECOND) };
    const { kind, until, since } = blocked.state(now);
    // The probe is another message.
    const known = (kind !== 'blocked' || until <= now ? now : until) + COMES_BY_ITSELF;
    return { provider: this.key, until: known, blocked: { reply: blocked.cause.reply, since } };
  }

  #wait(entrant: ProviderEntrant): Promise<Permit | ProviderWait | undefined> {
    return new Promise((resolve) => {
      const waiting: WaitingEntrant = {
        entrant,
        told: (answer) => {
          forget();
          resolve(answer !== undefined && 'way' in answer ? this.#connections.admit(answer, entrant.hosts) : answer);
        },
      };
      this.#waiting.push(waiting);
      const forget = onAbort(entrant.signal, () => {
        const at = this.#waiting.indexOf(waiting);
        if (at >= 0) this.#waiting.splice(at, 1);
        resolve(undefined);
      });
    });
  }

  #advance(): void {
    while (this.#waiting.length > 0) {
      const next = this.#waiting[0]!;
      const answer = this.#grant(next.entrant, true);
      if (answer === 'wait') break;
      this.#waiting.shift();
      next.told(answer);
    }
    this.#feed();
  }

  /** Tells as many destinations of room as there is, in the order in which they have asked. */
  #feed(): void {
    if (this.#starved.size === 0) return;
    const now = this.#options.now();
    const { sessions, freeAt, blocked } = this.#open(now);
    if (!blocked && (sessions === 0 || freeAt > now + WAITS)) {
      this.#wakeAt(freeAt);
      return;
    }
    let room = blocked ? ROOM_BLOCKED : Math.max(8, 4 * sessions) - this.#running - this.#waiting.length;
    if (!blocked && room < Math.max(8, 4 * sessions) / 2) return;
    for (const destination of this.#starved) {
      if (room-- <= 0) break;
      this.#starved.delete(destination);
      this.#options.onRoom(destination);
    }
  }

  #wakeAt(at: number): void {
    const pause = at - this.#options.now();
    if (pause <= 0 || this.#wake !== undefined) return;
    this.#wake = setTimeout(
      () => {
        this.#wake = undefined;
        this.#advance();
        if (this.#waiting.length > 0 || this.#starved.size > 0) this.#wakeAt(this.#open(this.#options.now()).freeAt);
      },
      Math.min(pause, LOOK),
    ).unref();
  }

  /** Tells of a block that begins or ends by `change`. */
  #following(way: ProviderWay, change: () => void): void {
    const { now, onNews } = this.#options;
    const before = way.state(now()).kind;
    change();
    const { kind, since } = way.state(now());
    const news = { provider: this.key, way: way.way, since, cause: way.cause };
    const wasBlocked = before === 'blocked' || before === 'probing' || before === 'half-open';
    if (kind === 'blocked' && !wasBlocked) onNews({ ...news, state: 'blocked' });
    if (kind === 'open' && wasBlocked) onNews({ ...news, state: 'open' });
    noteNeighbours(this.ways, this.#options.now());
  }

  async #probe(way: ProviderWay): Promise<void> {
    const now = this.#options.now();
    way.beginProbe('none', now); // no message has this name
    this.#options.put(way.row(now));
    const [message] = await this.#options.release(this.key, 1, true).catch(() => []);
    this.#options.onProbe(this.key, way.way, message);
    if (way.probe === 'none') way.probe = message ?? '';
  }

  /** Held mail goes on in the order of its age, as much as goes soon. */
  async #releaseHeld(now: number): Promise<void> {
    const { sessions, freeAt, blocked } = this.#open(now);
    const isPaused = blocked || sessions === 0 || freeAt > now;
    if (this.#releasing || isPaused || this.#waiting.length > 0) return;
    this.#releasing = true;
    const released = await this.#options.release(this.key, Math.min(sessions, RELEASED), false).catch(() => undefined);
    if (released?.length === 0 && !this.isBlocked) this.#mayHold = false;
    this.#releasing = false;
  }
}
