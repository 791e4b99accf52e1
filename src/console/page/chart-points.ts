/** The bars of a chart over time: hours of a day, or days of a month, up to now. */
import { dayText, minuteText } from './format.ts';

const HOUR = 3_600_000;

type ChartSpan = {
  readonly step: 'hour' | 'day';
  /** ms of one bar. Days are those of UTC. */
  readonly length: number;
  readonly steps: number;
  /** Of the first bar, ISO 8601. */
  readonly begin: string;
  readonly words: (at: number) => string;
};

/** The last bar is the hour, or the day, that is under way. @param now ms since 1970. */
export function chartSpan(isMonth: boolean, now: number): ChartSpan {
  const [length, steps] = isMonth ? [24 * HOUR, 30] : [HOUR, 24];
  const begin = new Date((Math.floor(now / length) + 1 - steps) * length).toISOString();
  return { step: isMonth ? 'day' : 'hour', length, steps, begin, words: isMonth ? dayText : minuteText };
}

type Values = Readonly<Record<string, number>>;

/** Steps in which nothing passed have no row, and an empty bar. */
export function chartPoints<Row extends { readonly from: string }>(
  rows: readonly Row[],
  { length, steps, begin, words }: ChartSpan,
  valuesOf: (row: Row) => Values,
): readonly { readonly at: string; readonly values: Values }[] {
  const byStep = new Map(rows.map((row) => [Math.floor(Date.parse(row.from) / length), row]));
  return Array.from({ length: steps }, (_, step) => {
    const at = Date.parse(begin) + step * length;
    const row = byStep.get(at / length);
    return { at: words(at), values: row === undefined ? {} : valuesOf(row) };
  });
}
