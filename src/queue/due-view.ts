/** The runner's memory of which destinations have due mail, so that it need not ask the store for what it knows. */
import type { Due } from '../store/store.ts';

/** `ready` may be tried, `parked` has no room now, `claiming` is being asked for. */
export type DueEntry = {
  readonly destination: string;
  state: 'ready' | 'parked' | 'claiming';
  /** When this view last heard that mail is due, in its own count of events. */
  news: number;
  /** Since when its longest waiting mail is due, by the wall clock. */
  since: number;
  /** While parked: look again then, in monotonic ms. */
  until: number;
  /** While its waiting mail is reviewed: mail that was due by then, by the wall clock. 0: it is not. */
  reviewUntil: number;
};

/** Parked destinations are looked at together, at most this often. */
const STEP = 1000;

export class DueView {
  readonly #entries = new Map<string, DueEntry>();
  /** In the order of waiting: a destination that was served goes to the end. */
  readonly #ready = new Set<DueEntry>();
  #events = 0;
  #earliest = Number.POSITIVE_INFINITY;

  /** Counts all that was announced so far: what comes later is not in an answer asked for now. */
  get events(): number {
    return this.#events;
  }

  /** When the first parked destination wants to be looked at. */
  get earliest(): number {
    return this.#earliest;
  }

  /** No destination is left to try. */
  get idle(): boolean {
    return this.#ready.size === 0;
  }

  has(destination: string): boolean {
    return this.#entries.has(destination);
  }

  /** Mail is due there, `since` when. */
  announce(destination: string, since: number): void {
    const news = ++this.#events;
    const known = this.#entries.get(destination);
    if (known !== undefined) known.news = news;
    else this.#setReady({ destination, state: 'ready', news, since, until: 0, reviewUntil: 0 });
  }

  /** The store's answer. `complete`: what it does not name has nothing due, unless we heard of it after `events`. */
  merge(due: readonly Due[], complete: boolean, events: number): void {
    const named = new Set<string>();
    for (const { destination, nextAttemptAt } of due) {
      named.add(destination);
      const known = this.#entries.get(destination);
      if (known === undefined) this.announce(destination, nextAttemptAt);
      else known.since = nextAttemptAt;
    }
    if (!complete) return;
    for (const entry of this.#entries.values()) {
      if (!named.has(entry.destination) && entry.news <= events && entry.state !== 'claiming') this.#remove(entry);
    }
  }

  /** The destination that is next, now `claiming`. */
  next(): DueEntry | undefined {
    for (const entry of this.#ready) {
      this.#ready.delete(entry);
      entry.state = 'claiming';
      return entry;
    }
    return undefined;
  }

  /** It has no room: look again at `until` at the latest. */
  park(entry: DueEntry, until: number): void {
    entry.state = 'parked';
    entry.until = Math.ceil(until / STEP) * STEP;
    this.#earliest = Math.min(this.#earliest, entry.until);
  }

  /** It got its share, others are next. */
  putBack(entry: DueEntry): void {
    this.#setReady(entry);
  }

  /** Nothing more was due there when it was asked for at `events`. */
  exhausted(entry: DueEntry, events: number): void {
    if (entry.news > events) this.#setReady(entry);
    else this.#remove(entry);
  }

  /** It takes nothing just now, whatever it says of its room. */
  pause(destination: string, until: number): void {
    const entry = this.#entries.get(destination);
    if (entry !== undefined && this.#ready.delete(entry)) this.park(entry, until);
  }

  unpark(destination: string): boolean {
    const entry = this.#entries.get(destination);
    if (entry?.state !== 'parked') return false;
    this.#setReady(entry);
    return true;
  }

  /** All that are parked until `now` or earlier; without `now` all. */
  unparkUntil(now = Number.POSITIVE_INFINITY): void {
    let earliest = Number.POSITIVE_INFINITY;
    for (const entry of this.#entries.values()) {
      if (entry.state !== 'parked') continue;
      if (entry.until <= now) this.#setReady(entry);
      else earliest = Math.min(earliest, entry.until);
    }
    this.#earliest = earliest;
  }

  #setReady(entry: DueEntry): void {
    entry.state = 'ready';
    this.#entries.set(entry.destination, entry);
    this.#ready.add(entry);
  }

  #remove(entry: DueEntry): void {
    this.#entries.delete(entry.destination);
    this.#ready.delete(entry);
  }
}
