/**
 * What a process did to the files of a directory, read from `strace -f -yy -xx -ttt`. A call that another thread's line cut in two
 * has a beginning and an end: a sync covers only what had ended before it began.
 */
import { basename, dirname } from 'node:path';

export const TRACE = [
  ...['-I', '2', '--seccomp-bpf', '-yy', '-xx', '-ttt', '-s', '4000000', '-e'],
  'trace=openat,write,pwrite64,ftruncate,fsync,fdatasync,unlink,rename',
];

export type FileEvent = {
  readonly kind: 'create' | 'write' | 'truncate' | 'unlink' | 'sync';
  readonly path: string;
  /** Of a write; undefined: at the end. */
  readonly offset?: number | undefined;
  readonly data?: Buffer;
  readonly size?: number;
  /** Line numbers of the log. */
  readonly begin: number;
  readonly end: number;
  /** Milliseconds since 1970, when the line of its end begins. */
  readonly at: number;
};

type Call = { readonly text: string; readonly begin: number; readonly end: number; readonly at: number };

export function readWriteLog(log: string, folder: string): readonly FileEvent[] {
  return callsOf(log).flatMap((call) => {
    const event = eventOf(call);
    return event?.path.startsWith(folder) && !basename(event.path).endsWith('-shm') ? [event] : [];
  });
}

function callsOf(log: string): readonly Call[] {
  const begun = new Map<string, { readonly text: string; readonly begin: number }>();
  const calls: Call[] = [];
  for (const [end, line] of log.split('\n').entries()) {
    const [, tid = '', time, text = ''] = /^(\d+) +([\d.]+) (.*)$/.exec(line) ?? [];
    const at = Number(time) * 1000;
    const resumed = /^<\.\.\. \w+ resumed>(.*)$/.exec(text);
    const before = begun.get(tid);
    if (text.endsWith('<unfinished ...>')) begun.set(tid, { text: text.slice(0, -'<unfinished ...>'.length), begin: end });
    else if (resumed === null) calls.push({ text, begin: end, end, at });
    else if (before !== undefined) calls.push({ text: before.text.trimEnd() + resumed[1], begin: before.begin, end, at });
  }
  return calls;
}

const unhex = (text: string) => Buffer.from(text.replaceAll('\\x', ''), 'hex');

function eventOf({ text, begin, end, at }: Call): FileEvent | undefined {
  const [, name, first = '', rest = ''] = /^(\w+)\((?:\w+<)?([^,)>]*)>?(.*)$/.exec(text) ?? [];
  const result = Number(/ = (-?\d+)/.exec(rest)?.[1] ?? -1);
  if (result < 0) return undefined;
  const when = { begin, end, at };
  const path = unhex(first.replaceAll('"', '')).toString();
  switch (name) {
    case 'openat': {
      const opened = unhex(/ = \d+<([^>]*)>/.exec(rest)?.[1] ?? '').toString();
      return rest.includes('O_CREAT') ? { kind: 'create', path: opened, ...when } : undefined;
    }
    case 'write':
    case 'pwrite64': {
      const [, data = '', offset] = /^, "([^"]*)", \d+(?:, (\d+))?\)/.exec(rest) ?? [];
      return {
        kind: 'write',
        path,
        data: unhex(data).subarray(0, result),
        offset: offset === undefined ? undefined : Number(offset),
        ...when,
      };
    }
    case 'ftruncate':
      return { kind: 'truncate', path, size: Number(/^, (\d+)/.exec(rest)?.[1]), ...when };
    case 'fsync':
    case 'fdatasync':
      return { kind: 'sync', path, ...when };
    case 'unlink':
      return { kind: 'unlink', path, ...when };
    case 'rename':
      throw new Error(`${path} is renamed: the model of a power cut does not know that yet`);
    default:
      return undefined;
  }
}

/** What has to be synced for an event to stay: the file, or the directory that holds its name. */
export const heldBy = ({ kind, path }: FileEvent) => (kind === 'create' || kind === 'unlink' ? dirname(path) : path);
