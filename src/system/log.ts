/** The log: one JSON line per event on stdout, or lines for people. Only this file imports pino. */
import { pino } from 'pino';
import { plainJson } from '../smtp/text.ts';
import { SECOND } from './clock.ts';
import { createOutput } from './log-output.ts';
import { formatPretty } from './log-pretty.ts';

type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'silent';
export type LogFields = Readonly<Record<string, unknown>>;

/** `event` is the name that operators and tools use. Undefined fields are left out. */
export type Log = {
  debug(event: string, fields?: LogFields): void;
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  error(event: string, fields?: LogFields): void;
  setLevel(level: LogLevel): void;
  /** Writes whole lines of JSON, from the log of another thread. */
  write(lines: string): void;
  /** Writes all buffered lines. Called before the process ends. */
  flush(): void;
};

type LogOptions = {
  readonly level: LogLevel;
  readonly format: 'json' | 'pretty';
  /** Receives whole lines; default: stdout. */
  readonly write?: (lines: string) => void;
  /** Gets the same whole lines as JSON, whatever the format is. */
  readonly keep?: ((lines: string) => void) | undefined;
};

/** Collects the lines of one turn of the event loop into one write, so that a busy relay spends little time in write(2). */
export function createLog({ level, format, write: given, keep }: LogOptions): Log {
  let held = '';
  const flush = () => {
    if (held === '') return;
    const lines = held;
    held = '';
    write(lines);
  };
  const hold = (lines: string) => {
    if (held === '') setImmediate(flush);
    held += lines;
  };
  const destination = {
    write(line: string): void {
      const plain = plainJson(line);
      keep?.(plain);
      hold(format === 'pretty' ? formatPretty(line) : plain);
    },
  };
  const logger = pino(
    {
      level,
      base: null,
      timestamp: () => `,"time":"${timeOf(Date.now())}"`,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { error: describeError },
    },
    destination,
  );
  const write = given ?? createOutput(1, { onResumed: (lines) => logger.warn({ event: 'logLinesLost', lines }) });
  const at = (method: 'debug' | 'info' | 'warn' | 'error') => (event: string, fields?: LogFields) => {
    if (!logger.isLevelEnabled(method)) return;
    const text = fields === undefined || 'error' in fields ? undefined : jsonOf(fields);
    if (text === undefined) logger[method]({ event, ...fields });
    else destination.write(`{"level":"${method}","time":"${timeOf(Date.now())}","event":"${event}"${text}\n`);
  };
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    setLevel: (next) => {
      logger.level = next;
    },
    write(lines) {
      keep?.(lines);
      hold(format === 'pretty' ? lines.split('\n').slice(0, -1).map(formatPretty).join('') : lines);
    },
    flush,
  };
}

let timedAt = Number.NaN;
let time = '';
let secondAt = Number.NaN;
/** Up to the point before the milliseconds. */
let second = '';

/** As ISO 8601, in UTC. Lines of the same millisecond have the same, and those of a second differ in its end only. */
function timeOf(now: number): string {
  if (now === timedAt) return time;
  const ms = now % SECOND;
  if (now - ms !== secondAt) {
    secondAt = now - ms;
    second = new Date(now).toISOString().slice(0, -4);
  }
  timedAt = now;
  time = `${second}${ms < 10 ? '00' : ms < 100 ? '0' : ''}${ms}Z`;
  return time;
}

/**
 * The fields with a comma before each, and the end of the line, as pino writes them; in a third of its time, and nearly each line is of
 * these fields. Undefined for what only pino can write: fields that refer to themselves, big integers.
 */
function jsonOf(fields: LogFields): string | undefined {
  try {
    const json = JSON.stringify(fields);
    if (json === '{}') return '}';
    return json.startsWith('{') ? `,${json.slice(1)}` : undefined;
  } catch {
    return undefined;
  }
}

/** Errors keep their stack and causes in the log, never in a reply. */
function describeError(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const { message, stack, cause } = error;
  const code = 'code' in error ? { code: error.code } : {};
  return { message, ...code, stack, ...(cause === undefined ? {} : { cause: describeError(cause) }) };
}
