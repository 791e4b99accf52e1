/** Numbers, sizes and times as the language of the reader writes them. Times are those of the reader's place; UTC is said beside. */
import { localeTag } from './texts.ts';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

type Formats = ReturnType<typeof formatsOf>;

const made = new Map<string, Formats>();

function formatsOf(tag: string) {
  const date = (options: Intl.DateTimeFormatOptions) => new Intl.DateTimeFormat(tag, options);
  const unit = (name: string) =>
    new Intl.NumberFormat(tag, { style: 'unit', unit: name, unitDisplay: 'narrow', maximumFractionDigits: 1 });
  const time = { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' } as const;
  return {
    number: new Intl.NumberFormat(tag, { maximumFractionDigits: 1 }),
    percent: new Intl.NumberFormat(tag, { style: 'percent', maximumFractionDigits: 0 }),
    list: new Intl.ListFormat(tag, { type: 'conjunction' }),
    second: date({ ...time, second: '2-digit' }),
    minute: date(time),
    day: date({ day: 'numeric', month: 'short' }),
    dayMinute: date({ day: 'numeric', month: 'short', ...time }),
    whole: date({ dateStyle: 'full', timeStyle: 'long' }),
    units: { d: unit('day'), h: unit('hour'), min: unit('minute'), s: unit('second'), ms: unit('millisecond') },
  };
}

function formats(): Formats {
  const tag = localeTag();
  const found = made.get(tag) ?? formatsOf(tag);
  made.set(tag, found);
  return found;
}

export const numberText = (value: number) => formats().number.format(value);
/** @param share 0 to 1. */
export const percentText = (share: number) => formats().percent.format(share);
export const listText = (items: readonly string[]) => formats().list.format(items);

const POWERS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

/** 1,536 octets are `1.5 KiB`. */
export function sizeText(octets: number): string {
  const power = Math.min(POWERS.length - 1, octets < 1 ? 0 : Math.floor(Math.log2(octets) / 10));
  return `${numberText(octets / 1024 ** power)}\u00a0${POWERS[power]}`;
}

/** Two units at most: `2 h 10 min`. @param ms not negative. */
export function durationText(ms: number): string {
  const { units } = formats();
  if (ms < SECOND) return units.ms.format(Math.round(ms));
  if (ms < 10 * SECOND) return units.s.format(Math.round(ms / 100) / 10);
  if (ms < MINUTE) return units.s.format(Math.floor(ms / SECOND));
  if (ms < HOUR) return units.min.format(Math.floor(ms / MINUTE));
  const [large, one, small, other] =
    ms < DAY ? ([HOUR, units.h, MINUTE, units.min] as const) : ([DAY, units.d, HOUR, units.h] as const);
  const rest = Math.floor((ms % large) / small);
  const whole = one.format(Math.floor(ms / large));
  return rest === 0 || ms >= 10 * DAY ? whole : `${whole} ${other.format(rest)}`;
}

/** As short as the distance allows: the second today, the minute in other days of the last half year, else the date. */
export function clockText(at: number, now: number): string {
  const { second, dayMinute, whole } = formats();
  const sameDay = new Date(at).toDateString() === new Date(now).toDateString();
  if (sameDay) return second.format(at);
  if (Math.abs(now - at) < 180 * DAY) return dayMinute.format(at);
  return whole.format(at);
}

export const minuteText = (at: number) => formats().minute.format(at);
export const dayText = (at: number) => formats().day.format(at);

/** Local time in full, UTC below it. */
export function wholeTimeText(at: number): string {
  return `${formats().whole.format(at)}\n${new Date(at).toISOString().replace('T', ' ').replace('Z', ' UTC')}`;
}
