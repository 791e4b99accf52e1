/**
 * Sessions at once to all destinations together: `delivery.maxSessions`. Below the bound everybody goes at once. At the bound:
 *
 * - Hosts that have not answered since their last failure, or never yet, get at most half of the places: a thousand dead hosts, each of
 *   which keeps its place until a time-out, leave the other half to hosts that answer.
 * - A place that gets free goes to the set of hosts, and to the message, that has the fewest; among equals to the one that has waited longest. So
 *   a message to a thousand dead hosts keeps no other message waiting for more than the next free place.
 * - As many wait in memory as there are places. Then the message with the most in line loses its newest: it is handed back, and comes again.
 */
import type { AttemptPlace } from './host-set.ts';

/** Told whether it has a place. */
type Told = (granted: boolean) => void;
type Waiting = { readonly place: AttemptPlace; readonly message: string; readonly told: Told };

/** Connections that are kept for the next message. */
export type KeptSessions = {
  /** Leaves the oldest of those beyond a number. */
  trim(count: number): void;
  /** Leaves one of a host set. Resolves when it is closed. */
  drop(hosts: string): Promise<void>;
};

export class SessionPlaces {
  readonly #max: () => number;
  readonly #kept: Pick<KeptSessions, 'trim'>;
  /** The message that each is for. */
  readonly #taken = new Map<AttemptPlace, string>();
  readonly #line: Waiting[] = [];

  constructor({ max, kept }: { max: () => number; kept: Pick<KeptSessions, 'trim'> }) {
    this.#max = max;
    this.#kept = kept;
  }

  get taken(): number {
    return this.#taken.size;
  }

  get waiting(): number {
    return this.#line.length;
  }

  /** True: it has a place now. */
  take(place: AttemptPlace, message: string): boolean {
    if (this.#taken.size >= this.#max() || (!place.set.answers && !this.#hasRoomForSilent())) return false;
    this.#seat(place, message);
    return true;
  }

  /** The same, where nobody waits for a place. */
  takeSpare(place: AttemptPlace, message: string): boolean {
    return this.#line.length === 0 && this.take(place, message);
  }

  /** @param told is called once, perhaps at once. @returns leaves the line. */
  wait(place: AttemptPlace, message: string, told: Told): () => void {
    const waiting = { place, message, told };
    this.#line.push(waiting);
    if (this.#line.length > this.#max()) this.#sendOneAway();
    return () => this.#leaveLine(waiting);
  }

  /** Gives back what `take` or `wait` gave. */
  give(place: AttemptPlace): void {
    this.#taken.delete(place);
    if (this.#line.length > 0) this.advance();
  }

  /** Lets those go for whom there is a place. */
  advance(): void {
    while (this.#line.length > 0 && this.#taken.size < this.#max()) {
      const next = this.#next();
      if (next === undefined) return;
      this.#leaveLine(next);
      this.#seat(next.place, next.message);
      next.told(true);
    }
  }

  /** All that wait. */
  sendAway(): void {
    for (const { told } of this.#line.splice(0)) told(false);
  }

  #seat(place: AttemptPlace, message: string): void {
    this.#taken.set(place, message);
    this.#kept.trim(Math.max(0, this.#max() - this.#taken.size));
  }

  #leaveLine(waiting: Waiting): void {
    const at = this.#line.indexOf(waiting);
    if (at >= 0) this.#line.splice(at, 1);
  }

  #hasRoomForSilent(): boolean {
    const half = Math.ceil(this.#max() / 2);
    if (this.#taken.size < half) return true;
    let silent = 0;
    for (const { set } of this.#taken.keys()) if (!set.answers) silent++;
    return silent < half;
  }

  /** Whose set and message have the fewest places. */
  #next(): Waiting | undefined {
    const ofSets = countsOf([...this.#taken.keys()].map(({ set }) => set.key));
    const ofMessages = countsOf(this.#taken.values());
    const silentToo = this.#hasRoomForSilent();
    let best: Waiting | undefined;
    let fewest = Number.POSITIVE_INFINITY;
    for (const waiting of this.#line) {
      const { place, message } = waiting;
      if (!silentToo && !place.set.answers) continue;
      const has = Math.max(ofSets.get(place.set.key) ?? 0, ofMessages.get(message) ?? 0);
      if (has >= fewest) continue;
      best = waiting;
      fewest = has;
    }
    return best;
  }

  #sendOneAway(): void {
    const waiting = countsOf(this.#line.map(({ message }) => message));
    const most = Math.max(...waiting.values());
    const away = this.#line.findLast(({ message }) => waiting.get(message) === most)!;
    this.#leaveLine(away);
    away.told(false);
  }
}

function countsOf(names: Iterable<string>): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return counts;
}
