/**
 * Connections to a provider that wait for the next message. They count as sessions, so one of another host set ends before there are too
 * many.
 */
import { SECOND } from '../../system/clock.ts';
import type { Permit } from './permit.ts';

type KeptOptions = {
  /** Ends the oldest one of a host set. Resolves when it is closed. */
  readonly drop: (hosts: string) => Promise<void>;
  /** Attempts that have a permit. */
  readonly running: () => number;
  /** Sessions by the same address of ours. */
  readonly most: (permit: Permit) => number;
};

type Connecting = { readonly permit: Permit; readonly hosts: string; go: () => void };

/** How long a new connection waits for an old one to close. */
const CLOSING = 5 * SECOND;

export class KeptConnections {
  readonly #options: KeptOptions;
  /** By the key of the host set; the one that was given back first comes first. */
  readonly #kept = new Map<string, number>();
  #count = 0;
  /** Those that are being ended. */
  readonly #dropping = new Map<string, number>();
  /** Attempts that wait until one has ended. */
  readonly #connecting: Connecting[] = [];

  constructor(options: KeptOptions) {
    this.#options = options;
  }

  /** One more is kept, or one less. */
  note(hosts: string, change: 1 | -1): void {
    const count = (this.#kept.get(hosts) ?? 0) + change;
    if (count < 0) return; // it was kept before anything was known of these hosts
    this.#count += change;
    this.#kept.delete(hosts); // so that the last one comes last
    if (count > 0) this.#kept.set(hosts, count);
    if (change < 0) this.advance();
  }

  /** The permit when its attempt may open a connection. */
  admit(permit: Permit, hosts: string): Permit | Promise<Permit> {
    if (this.admitsNow(permit, hosts)) return permit;
    return new Promise((resolve) => {
      const waiting = { permit, hosts, go: () => {} };
      const timer = setTimeout(() => this.#begin(waiting), CLOSING).unref();
      waiting.go = () => {
        clearTimeout(timer);
        resolve(permit);
      };
      this.#connecting.push(waiting);
      this.#dropOne(hosts);
    });
  }

  /** Its attempt may open a connection now. It has its permit already. */
  admitsNow(permit: Permit, hosts: string): boolean {
    return this.#count === 0 || this.#mayConnect(permit, hosts, this.#options.running() - 1 - this.#connecting.length);
  }

  /** Lets those go on for whom one has closed, or an attempt has ended. */
  advance(): void {
    while (this.#connecting.length > 0) {
      const next = this.#connecting[0]!;
      if (!this.#mayConnect(next.permit, next.hosts, this.#options.running() - this.#connecting.length)) {
        if (this.#dropping.size === 0) this.#dropOne(next.hosts); // fewer are allowed than before
        return;
      }
      this.#begin(next);
    }
  }

  /** @param others attempts that have a connection, or may open one. */
  #mayConnect(permit: Permit, hosts: string, others: number): boolean {
    const reused = this.#kept.has(hosts) ? 1 : 0;
    return others + this.#count - reused < this.#options.most(permit);
  }

  #begin(waiting: Connecting): void {
    const at = this.#connecting.indexOf(waiting);
    if (at >= 0) this.#connecting.splice(at, 1);
    waiting.go();
  }

  #dropOne(besides: string): void {
    for (const [hosts, count] of this.#kept) {
      const dropping = this.#dropping.get(hosts) ?? 0;
      if (dropping >= count - (hosts === besides ? 1 : 0)) continue;
      this.#dropping.set(hosts, dropping + 1);
      void this.#options.drop(hosts).finally(() => {
        const left = this.#dropping.get(hosts)! - 1;
        if (left > 0) this.#dropping.set(hosts, left);
        else this.#dropping.delete(hosts);
      });
      return;
    }
  }
}
