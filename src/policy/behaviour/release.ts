/** Lets mail of a released login leave step by step, the oldest first: it may still be what its receivers do not want. */
import { randomBytes } from 'node:crypto';
import type { Emit } from '../../events/events.ts';
import type { StoreData } from '../../store/store.ts';
import { type Clock, HOUR, MINUTE } from '../../system/clock.ts';
import { holdKey } from './held.ts';
import type { Stop } from './stop.ts';
import type { StopBook } from './stop-book.ts';

/** Recipients in the first hour, and twice as many in each further one. */
const FIRST_HOUR = 50;
const MOST_HOURS = 12;
/** Longer than the pause between two looks. */
const LEASE = 90_000;

type ReleaseOptions = {
  readonly store: Pick<StoreData, 'messages' | 'operation' | 'underLease'>;
  readonly log: Emit;
  readonly book: StopBook;
  readonly now: Clock;
};

/** Recipients that leave in a minute. @param since when it was released. */
function recipientsPerMinute(since: number, now: number): number {
  const hours = Math.min(Math.max(0, Math.floor((now - since) / HOUR)), MOST_HOURS);
  return Math.ceil((FIRST_HOUR * 2 ** hours) / 60);
}

export class Releases {
  readonly #options: ReleaseOptions;
  readonly #owner = randomBytes(8).toString('hex');
  /** When the last step of each release was made. */
  readonly #lastStep = new Map<string, number>();

  constructor(options: ReleaseOptions) {
    this.#options = options;
  }

  /** Makes a step of each release that is due. Rejects when the store fails. */
  async look(): Promise<void> {
    const { book, now } = this.#options;
    const releasing = book.all().filter(({ state }) => state === 'releasing');
    for (const id of this.#lastStep.keys()) if (!releasing.some((stop) => stop.id === id)) this.#lastStep.delete(id);
    for (const stop of releasing) {
      const last = this.#lastStep.get(stop.id);
      if (last !== undefined && Math.abs(now() - last) < 0.9 * MINUTE) continue;
      this.#lastStep.set(stop.id, now());
      await this.#step(stop);
    }
  }

  async #step(stop: Stop): Promise<void> {
    const { store, log, book, now } = this.#options;
    const lease = { name: `behaviour.release.${stop.id}`, owner: this.#owner };
    if (!(await store.operation.takeLease(lease.name, lease.owner, now() + LEASE, now()))) return;
    const led = store.underLease(lease);
    const provider = holdKey(stop);
    const limit = recipientsPerMinute(stop.releasedAt ?? now(), now());
    await led.messages.releaseHeld({ provider, limit, probe: false, now: now() });
    const left = (await store.messages.heldByProvider()).some((held) => held.provider === provider);
    if (left) return;
    await book.change(stop, { state: 'released' }, led.operation);
    log('loginReleased', { user: stop.user, ...(stop.sender !== '' && { sender: stop.sender }) });
  }
}
