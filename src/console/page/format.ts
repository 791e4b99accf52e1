/** Numbers, sizes and times as the language of the reader writes them. Times are those of the reader's place; UTC is said beside. */
import { localeTag } from './texts.ts';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** A browser takes a millisecond or two for each, so it is made when it is needed. */
function lazily<T>(make: (tag: string) => T): () => T {
  const made = new Map<string, T>();
  return () => {
    const tag = localeTag();
    const found = made.get(tag) ?? make(tag);
    made.set(tag, found);
    return found;
  };
}

const date = (options: Intl.DateTimeFormatOptions) => lazily((tag) => new Intl.DateTimeFormat(tag, options));
const number = (options: Intl.NumberFormatOptions) => lazily((tag) => new Intl.NumberFormat(tag, options));
const unit = (name: string) => number({ style: 'unit', unit: name, unitDisplay: 'narrow', maximumFractionDigits: 1 });
const TIME = { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' } as const;

const FORMATS = {
  number: number({ maximumFractionDigits: 1 }),
  percent: number({ style: 'percent', maximumFractionDigits: 0 }),
  list: lazily((tag) => new Intl.ListFormat(tag, { type: 'conjunction' })),
  second: date({ ...TIME, second: '2-digit' }),
  minute: date(TIME),
  day: date({ day: 'numeric', month: 'short' }),
  dayMinute: date({ day: 'numeric', month: 'short', ...TIME }),
  whole: date({ dateStyle: 'full', timeStyle: 'long' }),
};
const UNITS = { d: unit('day'), h: unit('hour'), min: unit('minute'), s: unit('second'), ms: unit('millisecond') };

export const numberText = (value: number) => FORMATS.number().format(value);
/** @param share 0 to 1. */
export const percentText = (share: number) => FORMATS.percent().format(share);
export const listText = (items: readonly string[]) => FORMATS.list().format(items);

const POWERS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

/** 1,536 octets are `1.5 KiB`. */
export function sizeText(octets: number): string {
  const power = Math.min(POWERS.length - 1, octets < 1 ? 0 : Math.floor(Math.log2(octets) / 10));
  return `${numberText(octets / 1024 ** power)}\u00a0${POWERS[power]}`;
}

/** Two units at most: `2 h 10 min`. @param ms not negative. */
export function durationText(ms: number): string {
  if (ms < SECOND) return UNITS.ms().format(Math.round(ms));
  if (ms < 10 * SECOND) return UNITS.s().format(Math.round(ms / 100) / 10);
  if (ms < MINUTE) return UNITS.s().format(Math.floor(ms / SECOND));
  if (ms < HOUR) return UNITS.min().format(Math.floor(ms / MINUTE));
  const [large, one, small, other] =
    ms < DAY ? ([HOUR, UNITS.h, MINUTE, UNITS.min] as const) : ([DAY, UNITS.d, HOUR, UNITS.h] as const);
  const rest = Math.floor((ms % large) / small);
  const whole = one().format(Math.floor(ms / large));
  return rest === 0 || ms >= 10 * DAY ? whole : `${whole} ${other().format(rest)}`;
}

/** As short as the distance allows: the second today, the minute in other days of the last half year, else the date. */
export function clockText(at: number, now: number): string {
  const { second, dayMinute, whole } = FORMATS;
  const sameDay = new Date(at).toDateString() === new Date(now).toDateString();
  if (sameDay) return second().format(at);
  if (Math.abs(now - at) < 180 * DAY) return dayMinute().format(at);
  return whole().format(at);
}

export const minuteText = (at: number) => FORMATS.minute().format(at);
export const dayText = (at: number) => FORMATS.day().format(at);

/** Local time in full, UTC below it. */
export function wholeTimeText(at: number): string {
  return `${FORMATS.whole().format(at)}\n${new Date(at).toISOString().replace('T', ' ').replace('Z', ' UTC')}`;
}
