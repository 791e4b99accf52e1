/** How many messages may begin in a span of time: exact for any such span, in constant time for each message. */
import { HOUR, MINUTE } from '../../system/clock.ts';

/** Below so many in a minute, they are counted by the hour. */
const BY_THE_HOUR = 10;
const LEAST_KEPT = BY_THE_HOUR * 60;

export class MessageRate {
  /** When the last messages began, milliseconds since the epoch. 0: none. */
  readonly #begun: Float64Array;
  #next = 0;

  /** @param most messages in a minute that may ever be asked for. */
  constructor(most: number) {
    this.#begun = new Float64Array(Math.max(Math.ceil(most), LEAST_KEPT));
  }

  note(now: number): void {
    this.#begun[this.#next] = now;
    this.#next = (this.#next + 1) % this.#begun.length;
  }

  /** When the next message may begin; not after `now`: at once. @param rate messages in a minute. */
  freeAt(now: number, rate: number): number {
    const span = rate < BY_THE_HOUR ? HOUR : MINUTE;
    const size = this.#begun.length;
    const count = Math.min(Math.max(1, Math.floor(span === HOUR ? rate * 60 + 1e-6 : rate)), size);
    const begun = this.#begun[(this.#next - count + size) % size]!;
    // What seems to have begun later than now was noted by a clock that has been set back.
    return begun === 0 || begun > now ? 0 : begun + span;
  }
}
