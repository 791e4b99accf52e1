/** The log: one JSON line per event on stdout, or lines for people. Only this file imports pino. */
import { pino } from 'pino';
import { plainJson } from '../smtp/text.ts';
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
  /** Writes whole lines of the log of another thread. */
  write(lines: string): void;
  /** Writes all buffered lines. Called before the process ends. */
  flush(): void;
};

type LogOptions = {
  readonly level: LogLevel;
  readonly format: 'json' | 'pretty';
  /** Receives whole lines; default: stdout. */
  readonly write?: (lines: string) => void;
};

/** Collects the lines of one turn of the event loop into one write, so that a busy relay spends little time in write(2). */
export function createLog({ level, format, write: given }: LogOptions): Log {
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
  const destination = { write: (line: string) => hold(format === 'pretty' ? formatPretty(line) : plainJson(line)) };
  const logger = pino(
    {
      level,
      base: null,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { error: describeError },
    },
    destination,
  );
  const write = given ?? createOutput(1, { onResumed: (lines) => logger.warn({ event: 'logLinesLost', lines }) });
  const at = (method: 'debug' | 'info' | 'warn' | 'error') => (event: string, fields?: LogFields) =>
    logger[method]({ event, ...fields });
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    setLevel: (next) => {
      logger.level = next;
    },
    write: hold,
    flush,
  };
}

/** Errors keep their stack and causes in the log, never in a reply. */
function describeError(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const { message, stack, cause } = error;
  const code = 'code' in error ? { code: error.code } : {};
  return { message, ...code, stack, ...(cause === undefined ? {} : { cause: describeError(cause) }) };
}
