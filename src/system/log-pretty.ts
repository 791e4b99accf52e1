/** Formats a JSON log line for people: time, level, event, then `name=value`. */
import { oneLine, plainJson } from '../smtp/text.ts';

const COLOURS: Readonly<Record<string, string>> = { warn: '\x1b[33m', error: '\x1b[31m', debug: '\x1b[2m' };

/** @param line one JSON line with `time`, `level` and `event`. */
export function formatPretty(line: string): string {
  const { time, level, event, ...fields } = JSON.parse(line) as Record<string, unknown>;
  const colour = process.stdout.isTTY ? (COLOURS[String(level)] ?? '') : '';
  const rest = Object.entries(fields).map(
    ([name, value]) => `${name}=${typeof value === 'string' && isPlain(value) ? value : plainJson(JSON.stringify(value))}`,
  );
  return `${colour}${String(time).slice(11, 23)} ${String(level).padEnd(5)} ${String(event).padEnd(13)} ${rest.join(' ')}${colour === '' ? '' : '\x1b[0m'}\n`;
}

/** True if the value needs no quotes and has no control characters. */
const isPlain = (value: string) => /^[^\s"=]+$/.test(value) && oneLine(value) === value;
