/** What is usual for a login: what it did in each hour of 28 days. Hours and days are those of UTC. */
import { DAY, HOUR } from '../../system/clock.ts';

const KEPT_HOURS = 28 * 24;
/** So many different days of use make a habit. */
const DAYS_OF_USE = 7;
/** With fewer hours of its own, a weekend is compared with all days. */
const HOURS_OF_CLASS = 8;
/** The running hour and the one before may be part of what is judged. */
const TOO_NEW = 2;

/** `n95`: 95 % of the hours of use had at most so much. */
type Usual = { readonly median: number; readonly n95: number };

export type Baseline = {
  readonly messages: Usual;
  readonly newRecipients: Usual;
  readonly sources: Usual;
  /** True if the login was used at this hour of the day, or next to it, within 28 days. */
  readonly knowsHour: boolean;
};

/** One hour of use. */
type HourCounts = { readonly messages: number; readonly newRecipients: number; readonly sources: number };

/** Four numbers for each hour: the hour since 1970, messages, new recipients, sources at the same time. */
export type HoursJson = readonly number[];
const WIDTH = 4;

export class Hours {
  /** In the order of time. */
  #flat: number[] = [];
  #cache: { readonly hour: number; readonly baseline: Baseline | undefined } | undefined;

  /** @param sources the most at the same time. */
  add(at: number, { messages, newRecipients, sources }: HourCounts): void {
    const hour = Math.floor(at / HOUR);
    if (this.#flat.length > 0 && this.#flat.at(-WIDTH)! > hour + KEPT_HOURS) this.#flat = []; // the clock was wrong
    if (this.#flat.at(-WIDTH) === hour) {
      const n = this.#flat.length - WIDTH;
      this.#flat[n + 1]! += messages;
      this.#flat[n + 2]! += newRecipients;
      this.#flat[n + 3] = Math.max(this.#flat[n + 3]!, sources);
      return;
    }
    this.#merge([hour, messages, newRecipients, sources]);
    while (this.#flat.length > 0 && this.#flat[0]! <= hour - KEPT_HOURS) this.#flat.splice(0, WIDTH);
  }

  /** Undefined: there is no habit yet. */
  baseline(at: number): Baseline | undefined {
    const hour = Math.floor(at / HOUR);
    if (this.#cache?.hour !== hour) this.#cache = { hour, baseline: baselineOf(this.#flat, hour) };
    return this.#cache.baseline;
  }

  /** Adds what an earlier process has stored. */
  merge(json: HoursJson): void {
    if (json.length % WIDTH !== 0 || !json.every(Number.isSafeInteger)) return;
    for (let i = 0; i < json.length; i += WIDTH) this.#merge(json.slice(i, i + WIDTH));
    this.#cache = undefined;
  }

  toJson(): HoursJson {
    return this.#flat;
  }

  #merge(row: readonly number[]): void {
    let n = this.#flat.length;
    while (n > 0 && this.#flat[n - WIDTH]! > row[0]!) n -= WIDTH;
    if (n > 0 && this.#flat[n - WIDTH] === row[0]) {
      this.#flat[n - 3]! += row[1]!;
      this.#flat[n - 2]! += row[2]!;
      this.#flat[n - 1] = Math.max(this.#flat[n - 1]!, row[3]!);
    } else this.#flat.splice(n, 0, ...row);
    if (this.#flat.length > KEPT_HOURS * WIDTH) this.#flat.splice(0, this.#flat.length - KEPT_HOURS * WIDTH);
  }
}

function baselineOf(flat: readonly number[], now: number): Baseline | undefined {
  const days = new Set<number>();
  const all: number[] = [];
  let knowsHour = false;
  for (let i = 0; i < flat.length; i += WIDTH) {
    const hour = flat[i]!;
    if (hour > now - TOO_NEW || hour <= now - KEPT_HOURS) continue;
    days.add(Math.floor((hour * HOUR) / DAY));
    all.push(i);
    const apart = Math.abs((hour % 24) - (now % 24));
    knowsHour ||= apart <= 1 || apart === 23;
  }
  if (days.size < DAYS_OF_USE) return undefined;
  const alike = all.filter((i) => isWeekend(flat[i]!) === isWeekend(now));
  const used = alike.length < HOURS_OF_CLASS ? all : alike;
  const usual = (column: number) => usualOf(used.map((i) => flat[i + column]!));
  return { messages: usual(1), newRecipients: usual(2), sources: usual(3), knowsHour };
}

/** The first of January 1970 was a Thursday. */
function isWeekend(hour: number): boolean {
  const day = (Math.floor(hour / 24) + 4) % 7;
  return day === 0 || day === 6;
}

function usualOf(counts: readonly number[]): Usual {
  const sorted = counts.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0;
  return { median: at(0.5), n95: at(0.95) };
}
