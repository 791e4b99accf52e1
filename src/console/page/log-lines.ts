/** Lines of the log: JSON as the relay writes it, and what a page shows of it. */

export type LogLine = {
  readonly seq: number;
  /** ISO 8601. undefined: the line has none. */
  readonly time: string | undefined;
  readonly level: string;
  readonly event: string;
  /** What the line says besides, in its order. */
  readonly fields: readonly (readonly [name: string, value: string])[];
  /** As it was written. */
  readonly text: string;
};

const HEAD = new Set(['time', 'level', 'event']);

/** A line that is no JSON is shown as it is. */
export function parseLogLine(seq: number, text: string): LogLine {
  const parsed = fieldsOf(text);
  const { time, level, event } = parsed;
  return {
    ...{ seq, text },
    time: typeof time === 'string' ? time : undefined,
    level: typeof level === 'string' ? level : '',
    event: typeof event === 'string' ? event : text,
    fields: Object.entries(parsed)
      .filter(([name, value]) => !HEAD.has(name) && value !== null)
      .map(([name, value]) => [name, typeof value === 'object' ? JSON.stringify(value) : String(value)]),
  };
}

function fieldsOf(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : {};
  } catch {
    return {};
  }
}

type LogFilter = { readonly level?: string | undefined; readonly event?: string | undefined; readonly find?: string | undefined };

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;

/** @param filter `level`: this one, and what is worse. `find`: anywhere in the line, without case. */
export function fitsLogFilter(line: LogLine, { level, event, find }: LogFilter): boolean {
  const rank = (name: string) => (LOG_LEVELS as readonly string[]).indexOf(name);
  if (level !== undefined && line.level !== '' && rank(line.level) < rank(level)) return false;
  if (event !== undefined && line.event !== event) return false;
  return find === undefined || line.text.toLowerCase().includes(find.toLowerCase());
}
