/**
 * The class of reports about TLS, below people's mail. A report has a place only where one is free that no mail waits for, and all reports together have
 * at most a tenth of the sessions. One that has waited for an hour stands in line like mail, so that it arrives while much mail is under way.
 */
import { type Clock, HOUR, MINUTE, SECOND } from '../system/clock.ts';

const SHARE = 1 / 10;
const PATIENCE = HOUR;
/** Until a report that found no place comes again: half of its age, so that a thousand of them in a crowd are little work. */
const SHORTEST_PAUSE = 30 * SECOND;
const LONGEST_PAUSE = 10 * MINUTE;

export class ReportPlaces {
  readonly #most: () => number;
  readonly #now: Clock;
  /** Those that have a place, or stand in line. */
  readonly #inside = new Set<object>();

  /** @param maxSessions sessions at once to all destinations. */
  constructor(maxSessions: () => number, now: Clock) {
    this.#most = () => Math.max(1, Math.floor(maxSessions() * SHARE));
    this.#now = now;
  }

  get isFull(): boolean {
    return this.#inside.size >= this.#most();
  }

  /** A report that was accepted then goes before mail that comes now. */
  isLate(acceptedAt: number): boolean {
    return Math.abs(this.#now() - acceptedAt) >= PATIENCE;
  }

  /** When one that found no place comes again. */
  nextTry(acceptedAt: number): number {
    const age = this.#now() - acceptedAt;
    return this.#now() + Math.min(LONGEST_PAUSE, Math.max(SHORTEST_PAUSE, age / 2));
  }

  add(one: object): void {
    this.#inside.add(one);
  }

  delete(one: object): void {
    if (this.#inside.size > 0) this.#inside.delete(one);
  }
}
