/** Whether the database can take mail now, as far as this process knows without asking for each message. */
import { SECOND } from '../../system/clock.ts';
import type { StoreCondition } from '../store.ts';

export const CONDITION_TICK = SECOND / 2;
/** A failover may take so long. Clients wait meanwhile. */
const UNSURE = 5 * SECOND;
const UNREACHABLE = 12 * SECOND;

export class Condition {
  readonly #tell: (condition: StoreCondition) => void;
  #told: StoreCondition = 'ready';
  /** Without an answer of the primary. A process that stood still counts none for that time. */
  #ticks = 0;
  #isFull = false;

  constructor(tell: (condition: StoreCondition) => void) {
    this.#tell = tell;
  }

  /** No primary answers for so long that a request cannot expect one soon. */
  get isUnreachable(): boolean {
    return this.#ticks * CONDITION_TICK >= UNREACHABLE;
  }

  /** To be called at each `CONDITION_TICK`. */
  tick(): void {
    this.#ticks++;
    this.#update();
  }

  /** The primary has answered. */
  answered(): void {
    this.#ticks = 0;
    this.#update();
  }

  measured(isFull: boolean): void {
    this.#isFull = isFull;
    this.#update();
  }

  #update(): void {
    const silence = this.#ticks * CONDITION_TICK;
    const reachable = this.#isFull ? 'full' : 'ready';
    const now = silence >= UNREACHABLE ? 'unreachable' : silence >= UNSURE ? 'unsure' : reachable;
    if (now === this.#told) return;
    this.#told = now;
    this.#tell(now);
  }
}
