/** The limit of a set of hosts counts sessions that wait for another message too. They make room for a new one. */
import type { HostSet } from './host-set.ts';

type HostRoomOptions = {
  /** Sessions at once to one host set. */
  readonly most: (key: string) => number;
  /** Leaves one session that waits, or waits for one that is being left. */
  readonly drop: (hosts: string) => Promise<void>;
};

/** Above one try for each session that may wait: a host that does not say good-bye must not hold the mail for long. */
const MORE_TRIES = 8;

export class HostRoom {
  readonly #options: HostRoomOptions;
  /** By the key of the host set. One that is being left counts until it is closed. */
  readonly #waiting = new Map<string, number>();

  constructor(options: HostRoomOptions) {
    this.#options = options;
  }

  /** A session of a host set waits, or is being left, or does so no longer. */
  note(hosts: string, change: 1 | -1): void {
    const count = (this.#waiting.get(hosts) ?? 0) + change;
    if (count > 0) this.#waiting.set(hosts, count);
    else this.#waiting.delete(hosts);
  }

  /**
   * One session more fits for each attempt that has a place. What is true once stays true until the attempt opens its session: who comes
   * later counts this attempt too, and takes a session that waits or asks for room itself.
   */
  isThere({ key, running }: HostSet): boolean {
    const waiting = this.#waiting.get(key) ?? 0;
    return waiting === 0 || running + waiting <= this.#options.most(key);
  }

  /** Resolves when the session fits. Never rejects. */
  async make(set: HostSet): Promise<void> {
    for (let tries = this.#options.most(set.key) + MORE_TRIES; tries > 0 && !this.isThere(set); tries--) {
      await this.#options.drop(set.key).catch(() => {});
    }
  }
}
