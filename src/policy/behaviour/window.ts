/** What has happened within the last 60 minutes, in steps of 5 minutes. */
import { MINUTE } from '../../system/clock.ts';

const STEP = 5 * MINUTE;
const STEPS = 12;
/** Most different values of one kind that a step remembers. */
const MOST_VALUES = 64;
/** More recipients than these are many. */
const FEW_RECIPIENTS = 6;

const COUNTERS = ['attempts', 'unknown', 'spam', 'messages', 'newRecipients', 'newAuthors', 'complaints'] as const;
const SETS = ['spamReceivers', 'sources', 'newNetworks', 'blocks', 'recipients'] as const;
type Counter = (typeof COUNTERS)[number];
type SetName = (typeof SETS)[number];

type Step = { readonly index: number; readonly counts: number[]; readonly sets: Partial<Record<SetName, string[]>> };

/** The last hour in sum; of sets, how many different values. `sources`: within ten minutes. */
export type WindowSums = Readonly<Record<Counter | SetName, number>>;

/** `[index, counters, sets]` for each step. */
export type WindowJson = readonly (readonly [number, readonly number[], Partial<Record<SetName, readonly string[]>>])[];

export class SlidingWindow {
  #steps: Step[] = [];

  count(at: number, counter: Counter, by = 1): void {
    this.#step(at).counts[COUNTERS.indexOf(counter)]! += by;
  }

  note(at: number, name: SetName, value: string): void {
    const { sets } = this.#step(at);
    const values = sets[name];
    if (values === undefined) sets[name] = [value];
    else if (values.length < (name === 'recipients' ? FEW_RECIPIENTS : MOST_VALUES) && !values.includes(value))
      values.push(value);
  }

  sums(at: number): WindowSums {
    this.#forget(at);
    const sums: Record<string, number> = {};
    for (const [n, counter] of COUNTERS.entries()) {
      let sum = 0;
      for (const { counts } of this.#steps) sum += counts[n]!;
      sums[counter] = sum;
    }
    const recent = Math.floor(at / STEP) - 1;
    for (const name of SETS) sums[name] = this.#different(name, name === 'sources' ? recent : 0);
    return sums as WindowSums;
  }

  /** How many different values there are since the step `from`. */
  #different(name: SetName, from: number): number {
    let first: readonly string[] | undefined;
    let all: Set<string> | undefined;
    for (const { index, sets } of this.#steps) {
      const values = sets[name];
      if (values === undefined || index < from) continue;
      if (first === undefined) first = values;
      else {
        all ??= new Set(first);
        for (const value of values) all.add(value);
      }
      if (name === 'recipients' && (all?.size ?? first.length) >= FEW_RECIPIENTS) return FEW_RECIPIENTS;
    }
    return all?.size ?? first?.length ?? 0;
  }

  total(at: number, counter: Counter): number {
    this.#forget(at);
    const n = COUNTERS.indexOf(counter);
    let sum = 0;
    for (const { counts } of this.#steps) sum += counts[n]!;
    return sum;
  }

  /** Different sources in the running step, of 5 minutes at most. */
  sourcesNow(at: number): number {
    return this.#step(at).sets.sources?.length ?? 0;
  }

  clear(): void {
    this.#steps = [];
  }

  /** Adds what an earlier process has stored. */
  merge(json: WindowJson, at: number): void {
    const mine = this.#steps;
    this.#steps = json.flatMap(([index, counts, sets]) => {
      if (!Number.isSafeInteger(index) || counts.length !== COUNTERS.length) return [];
      return [{ index, counts: [...counts], sets: structuredClone(sets) as Step['sets'] }];
    });
    this.#forget(at);
    for (const { index, counts, sets } of mine) {
      const time = index * STEP;
      for (const [n, by] of counts.entries()) this.count(time, COUNTERS[n]!, by);
      for (const name of SETS) for (const value of sets[name] ?? []) this.note(time, name, value);
    }
  }

  toJson(): WindowJson {
    return this.#steps.map(({ index, counts, sets }) => [index, counts, sets]);
  }

  #step(at: number): Step {
    this.#forget(at);
    const index = Math.floor(at / STEP);
    const last = this.#steps[this.#steps.length - 1];
    if (last !== undefined && last.index >= index) return last; // also where the clock was set back a little
    const step = { index, counts: COUNTERS.map(() => 0), sets: {} };
    this.#steps.push(step);
    return step;
  }

  /** Steps that are over, and steps that a wrong clock has put far ahead. */
  #forget(at: number): void {
    const index = Math.floor(at / STEP);
    if (this.#steps.length === 0) return;
    if (this.#steps[0]!.index > index - STEPS && this.#steps[this.#steps.length - 1]!.index < index + STEPS) return;
    this.#steps = this.#steps.filter((step) => step.index > index - STEPS && step.index < index + STEPS);
  }
}
