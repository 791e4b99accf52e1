/** Text for people: aligned tables, times, lists. Plain, so that it reads the same in a pipe. */
import { oneLine } from '../smtp/text.ts';

/** Removes control characters: text from outside could move the terminal's cursor. */
export function clean(text: string): string {
  return oneLine(text, '\ufffd');
}

/** Aligns columns, two spaces apart. The last column is not padded. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [header, ...rows].map((row) => row.map((cell) => clean(cell) || '-'));
  const widths = header.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)));
  return lines
    .map((line) => `${line.map((cell, i) => (i === line.length - 1 ? cell : cell.padEnd(widths[i]!))).join('  ')}\n`)
    .join('');
}

/** `name: value` lines. An empty value shows as a dash. */
export function facts(pairs: readonly (readonly [string, string])[]): string {
  const width = Math.max(...pairs.map(([name]) => name.length));
  return pairs.map(([name, value]) => `${`${name}:`.padEnd(width + 1)} ${clean(value) || '-'}\n`).join('');
}

/** ISO 8601 UTC to the second, for tables. */
export function time(at: number | string | null | undefined): string {
  return at === null || at === undefined ? '' : `${new Date(at).toISOString().slice(0, 19)}Z`;
}

/** "1 message", "3 messages". */
export function several(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
