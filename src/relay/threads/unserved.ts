/** Connections that came while no thread was there. They wait for the next one: not too many, and not for long. */
import type { Hand } from '../../submission/submission.ts';
import { SECOND } from '../../system/clock.ts';

type Handed = Parameters<Hand>;

const MOST = 1024;
/** Nothing is read from these connections, so that a client that has left is not seen. */
const LONGEST = 10 * SECOND;

export class Unserved {
  #waiting: { readonly handed: Handed; readonly since: number }[] = [];

  /** The one that has waited longest goes if there are too many. */
  add(...handed: Handed): void {
    this.#waiting.push({ handed, since: performance.now() });
    if (this.#waiting.length > MOST) drop(this.#waiting.shift()!.handed);
  }

  takeAll(): readonly Handed[] {
    return this.#waiting.splice(0).map(({ handed }) => handed);
  }

  /** Disconnects those that have waited too long. */
  sweep(now = performance.now()): void {
    const late = this.#waiting.filter(({ since }) => since <= now - LONGEST);
    this.#waiting = this.#waiting.slice(late.length);
    for (const { handed } of late) drop(handed);
  }

  dropAll(): void {
    for (const handed of this.takeAll()) drop(handed);
  }
}

/** The client is disconnected, and its place is free. */
function drop([socket, , caller]: Handed): void {
  socket.destroy();
  caller?.place?.leave();
}
