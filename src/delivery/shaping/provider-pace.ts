/**
 * How much all hosts of a provider get together: sessions at a time and messages in a minute from each address of ours, above the pace of
 * each host set. Mail for a provider that refuses our address waits, and one of its messages finds out whether that has ended.
 *
 * A permit costs constant time, however many domains share a provider. What changes is handed to the queue, which stores it in the
 * transaction of the result that caused it.
 */
import type { Shaping } from '../../store/store.ts';
import { type Clock, DAY, MINUTE } from '../../system/clock.ts';
import { Fallback, type FallbackOptions, isFallbackRow } from './fallback.ts';
import type { BlockNews } from './permit.ts';
import type { Provider } from './provider.ts';
import { LOOK, ProviderLine } from './provider-line.ts';
import type { Way, WayLimits } from './provider-way.ts';

export type ProviderPaceOptions = {
  readonly now: Clock;
  /** Undefined: the table has no such provider. */
  readonly find: (key: string) => Provider | undefined;
  /** Mail may leave by this address of ours. Default: by each. */
  readonly isOurs?: (way: Way) => boolean;
  /** Sessions at a time to one host set, as configured. */
  readonly concurrency: () => number;
  /** Ends the oldest kept connection of a host set. Resolves when it is closed. */
  readonly drop: (hosts: string) => Promise<void>;
  /** Destinations that were told of little room have more. */
  readonly onRoom: (destination: string) => void;
  readonly onNews: (news: BlockNews) => void;
  /** A probe begins. @param message its id; undefined: the next message is the probe. */
  readonly onProbe: (provider: string, way: Way, message: string | undefined) => void;
  /**
   * Makes up to `count` of the held messages of a provider due now, the oldest first; `probe`: one that suits as a probe; `after`: the next
   * one behind this message.
   */
  readonly release: (provider: string, count: number, probe: boolean, after?: string) => Promise<readonly string[]>;
  /** Stores what no result has caused. Resolves when it is stored. Never rejects. */
  readonly put: (row: Shaping) => unknown;
  /** Our addresses are new, and get to send more from day to day. Absent: they are known. */
  readonly warmsUp?: () => boolean;
  /** Absent: there is no fallback upstream. */
  readonly fallback?: FallbackOptions | undefined;
};

const MAX_LINES = 10_000;
/** So long a user's mail is no probe after something of it was taken for spam. */
const STRIKE_KEPT = DAY;
const MAX_STRIKES = 1000;
/** For hosts that no line of the table knows, once they have said something about us. */
const UNKNOWN = { perConnection: 100, perMinute: 600, firstRest: 10 * MINUTE } as const;

export class ProviderPace {
  readonly fallback: Fallback;
  readonly #options: ProviderPaceOptions;
  readonly #lines = new Map<string, ProviderLine>();
  #changed: Shaping[] = [];
  /** When mail of a user was taken for spam last. */
  readonly #strikes = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  /** @param stored what earlier processes have stored. */
  constructor(options: ProviderPaceOptions, stored: readonly Shaping[]) {
    this.#options = options;
    this.fallback = new Fallback({
      ...(options.fallback ?? { rules: () => [], onNews: () => {} }),
      ...{ now: options.now, put: options.put, changed: (row) => this.#change(row) },
      release: (provider, after) => options.release(provider, 1, false, after),
    });
    for (const row of stored) {
      if (isFallbackRow(row)) {
        this.fallback.restore(row);
        continue;
      }
      // A block of a provider that the table has no longer would never end: no attempt asks for it.
      if (row.provider.includes(':') || options.find(row.provider) !== undefined) this.restore(row);
      else if (row.state !== 'open') void options.put({ ...row, state: 'open', until: 0 });
    }
    this.#forgetOthers();
  }

  /** Other addresses are ours, or another fallback upstream is given. */
  followOptions(): void {
    this.#forgetOthers();
    this.fallback.retry();
  }

  /** What providers think of addresses that are ours no longer holds no mail. */
  #forgetOthers(): void {
    const { isOurs } = this.#options;
    if (isOurs !== undefined) for (const line of this.#lines.values()) line.forgetOthers(isOurs);
    if (this.#lines.size > 0) this.#watch();
  }

  /** The line of a provider; undefined for hosts that no line of the table knows and that have said nothing about us. */
  line(key: string): ProviderLine | undefined {
    const known = this.#lines.get(key);
    if (known !== undefined) return known;
    return this.#options.find(key) === undefined ? undefined : this.#create(key);
  }

  /** What was heard is about us, so the hosts get a line even though the table has none. */
  needed(key: string): ProviderLine {
    return this.#lines.get(key) ?? this.#create(key);
  }

  restore(row: Shaping): void {
    this.needed(row.provider).restore(row);
    this.#watch();
  }

  noteStrike(user: string): void {
    this.#strikes.delete(user); // so that the last one comes last
    if (this.#strikes.size >= MAX_STRIKES) this.#strikes.delete(this.#strikes.keys().next().value!);
    this.#strikes.set(user, this.#options.now());
  }

  /** Users whose mail would tell a provider that refuses us that it is right. */
  struck(): readonly string[] {
    return [...this.#strikes.keys()].filter((user) => this.isStruck(user));
  }

  isStruck(user: string): boolean {
    const at = this.#strikes.size > 0 ? this.#strikes.get(user) : undefined;
    return at !== undefined && Math.abs(this.#options.now() - at) < STRIKE_KEPT;
  }

  /** What has changed since the last call. */
  takeChanges(): readonly Shaping[] {
    if (this.#changed.length === 0) return [];
    const changes = this.#changed;
    this.#changed = [];
    return changes;
  }

  /** Each way of each provider that is not as usual, for numbers and tables. */
  states(): readonly Shaping[] {
    const now = this.#options.now();
    return [...this.#lines.values()].flatMap((line) => line.ways.map((way) => way.row(now))).concat(this.fallback.rows());
  }

  /** The providers that refuse an address of ours now. */
  blocks(): readonly BlockNews[] {
    return [...this.#lines.values()].flatMap((line) => line.blocks());
  }

  /** Does what an operator has asked for: `open`, `hold` or `probe`. */
  obey(provider: string, command: string): void {
    const line = command === 'hold' || this.#lines.has(provider) ? this.needed(provider) : undefined;
    line?.obey(command);
    this.#watch();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    for (const line of this.#lines.values()) line.sendAway();
  }

  #create(key: string): ProviderLine {
    const { now, find, concurrency, ...rest } = this.#options;
    if (this.#lines.size >= MAX_LINES) this.#forgetUnused();
    const limits = (): WayLimits => {
      const provider = find(key) ?? { key, sessions: concurrency(), ...UNKNOWN };
      return { ...provider, sessions: Math.min(provider.sessions, concurrency()) };
    };
    const line = new ProviderLine(key, {
      ...{ ...rest, now, limits },
      diverts: (one) => this.fallback.takes(one),
      changed: (row) => {
        this.#change(row);
        this.#watch();
      },
      put: (row) => {
        this.#changed = this.#changed.filter((one) => !isSameWay(one, row));
        return this.#options.put(row);
      },
    });
    this.#lines.set(key, line);
    return line;
  }

  #change(row: Shaping): void {
    this.#changed = [...this.#changed.filter((one) => !isSameWay(one, row)), row];
  }

  #forgetUnused(): void {
    for (const [key, line] of this.#lines) if (line.isUsual) this.#lines.delete(key);
  }

  /** Looks each second while any provider is not as usual. */
  #watch(): void {
    if (this.#timer !== undefined || this.#closed) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      let busy = false;
      for (const line of this.#lines.values()) {
        busy = line.look() || busy;
        this.fallback.move(line);
      }
      if (busy) this.#watch();
    }, LOOK).unref();
  }
}

function isSameWay(a: Shaping, b: Shaping): boolean {
  return a.provider === b.provider && a.family === b.family && a.source === b.source;
}
