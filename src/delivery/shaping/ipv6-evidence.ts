/** Whether a provider takes mail by IPv6, by what has happened. Where it does not, it is not asked again for a while. */
import { DAY } from '../../system/clock.ts';

/** refused: by policy, and IPv4 was taken or IPv6 itself was named; failed: no connection, and IPv4 had one. */
export type Ipv6Sign = 'refused' | 'failed';

/** `until`: milliseconds since the epoch. `times`: how often it was found to be no good. */
export type StoredIpv6 = { readonly until: number; readonly times: number };

/** Refusals without a delivery between them. */
const REFUSALS = 2;
/** Of the last connections. */
const FAILURES = { count: 3, of: 10 } as const;
const REST = [DAY, 7 * DAY, 30 * DAY] as const;

export class Ipv6Evidence {
  #refusals = 0;
  /** The last connections, true where one was made. */
  #connections: boolean[] = [];
  #until = 0;
  #times = 0;

  /** Undefined: it was always good. */
  get stored(): StoredIpv6 | undefined {
    return this.#times === 0 ? undefined : { until: this.#until, times: this.#times };
  }

  restore(stored: StoredIpv6 | undefined): void {
    [this.#until, this.#times] = stored === undefined ? [0, 0] : [stored.until, stored.times];
  }

  forget(): void {
    [this.#refusals, this.#connections] = [0, []];
    this.restore(undefined);
  }

  isBad(now: number): boolean {
    return this.#until > now && this.#until <= now + REST.at(-1)!;
  }

  /** @returns true if IPv6 is no good from now on. */
  hear(sign: Ipv6Sign | 'fine' | undefined, now: number): boolean {
    if (sign === undefined) return false;
    this.#connections = [...this.#connections.slice(1 - FAILURES.of), sign !== 'failed'];
    if (sign === 'fine') this.#refusals = 0;
    else if (sign === 'refused') this.#refusals++;
    const failures = this.#connections.filter((made) => !made).length;
    if (this.isBad(now) || (this.#refusals < REFUSALS && failures < FAILURES.count)) return false;
    this.#until = now + REST[Math.min(this.#times, REST.length - 1)]!;
    this.#times++;
    [this.#refusals, this.#connections] = [0, []];
    return true;
  }
}
