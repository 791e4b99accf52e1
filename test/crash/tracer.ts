/** `strace` on the threads of a relay: counts their calls, and kills the process or makes a call fail at the n-th of one kind. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { startProgram, temporaryFolder, untilReady } from '../support/program.ts';

/** What changes a file or a socket, and what is read of them. */
export const CALLS = [
  ...['openat', 'close', 'read', 'pread64', 'write', 'pwrite64', 'writev', 'fsync', 'fdatasync', 'fallocate', 'ftruncate'],
  ...['rename', 'link', 'unlink', 'mkdir'],
  ...['socket', 'bind', 'listen', 'connect', 'accept4', 'sendto', 'sendmsg', 'recvfrom', 'recvmsg', 'shutdown'],
] as const;
export type Call = (typeof CALLS)[number];

/** Threads are counted apart: the event loop, the store's, and those that write spool files. `all` is a start from its first call. */
export const ROLES = { main: 'MainThread', store: 'store', pool: 'libuv-worker' } as const;
export type Role = keyof typeof ROLES | 'all';

/** What a call says that is not made: the disk is full, it fails, no file is left to open, it can only be read. */
export const ERRORS = ['ENOSPC', 'EIO', 'EMFILE', 'EROFS'] as const;
export type Fault = { readonly error: (typeof ERRORS)[number]; readonly how: 'once' | 'from then on' };

/** The n-th call of this kind that one thread of the role makes. Without a fault, SIGKILL comes before it. */
export type Point = {
  readonly role: Role;
  readonly call: Call;
  readonly n: number;
  /** It was on a connection when it was counted. */
  readonly socket?: boolean;
  readonly fault?: Fault;
};

export const nameOf = ({ role, call, n, fault }: Point) =>
  `${role}/${call}/${n}${fault === undefined ? '' : ` ${fault.error} ${fault.how}`}`;

export type Trace = {
  /** The lines so far, each with its thread's id before it where there are several. */
  lines(): readonly string[];
  /** Lets the threads go; resolves when they are. */
  detach(): Promise<void>;
};

function injectAt({ call, n, fault }: Point): readonly string[] {
  const what = fault === undefined ? 'signal=KILL' : `error=${fault.error}`;
  return ['-yy', '-e', `trace=${call}`, '-e', `inject=${call}:${what}:when=${n}${fault?.how === 'from then on' ? '+' : ''}`];
}
const traceAll = ['-yy', '-s', '64', '-e', `trace=${CALLS.join(',')}`];

/** Attaches to the threads of a role (each, for `all`), and has them traced when this resolves. @param point where it happens; absent, it only counts */
export async function attach(pid: number, role: Role, point?: Point): Promise<Trace> {
  const folder = temporaryFolder('trace');
  const file = join(folder.path, 'log');
  const threads = threadsOf(pid).filter(({ name }) =>
    role === 'all' ? Object.values(ROLES).includes(name) : name === ROLES[role],
  );
  const what = point === undefined ? traceAll : injectAt(point);
  const args = ['-o', file, ...what, ...threads.flatMap(({ tid }) => ['-p', String(tid)])];
  const program = startProgram({ command: 'strace', args });
  const attached = () => program.output().split(' attached').length > threads.length;
  await untilReady(program, 'strace', attached).catch((error) => {
    // A point that came at once: strace has done its work, and the relay is dead, before anybody looked.
    if (point === undefined || isAlive(pid)) throw error;
  });
  return {
    lines: () => linesOf(file),
    async detach() {
      await program.close();
      folder.remove();
    },
  };
}

/** The command to start a relay under, so that it dies at a point of its start, or is counted. */
export function underStrace(file: string, point?: Point): readonly string[] {
  return ['strace', '-f', '-o', file, ...(point === undefined ? traceAll : injectAt(point))];
}

/** The calls that failed because they were told to. */
export const failedIn = (lines: readonly string[]): readonly string[] => lines.filter((line) => line.endsWith('(INJECTED)'));

/** How many calls of this kind the thread made that made most. */
export function mostOf(call: Call, lines: readonly string[]): number {
  const counts = new Map<string, number>();
  for (const line of lines) {
    const [, tid = 'the only one', made] = /^(?:(\d+) +)?(\w+)\(/.exec(line) ?? [];
    if (made === call) counts.set(tid, (counts.get(tid) ?? 0) + 1);
  }
  return Math.max(0, ...counts.values());
}

export function linesOf(file: string): readonly string[] {
  return readFileSync(file, 'latin1').split('\n');
}

/** Thread ids and the role of each. */
export function rolesOf(pid: number): ReadonlyMap<number, Role> {
  const byName = new Map(Object.entries(ROLES).map(([role, name]) => [name as string, role as Role]));
  return new Map(threadsOf(pid).flatMap(({ tid, name }) => (byName.has(name) ? [[tid, byName.get(name)!] as const] : [])));
}

function threadsOf(pid: number): { readonly tid: number; readonly name: (typeof ROLES)[keyof typeof ROLES] }[] {
  return readdirSync(`/proc/${pid}/task`).map((tid) => {
    const name = readFileSync(`/proc/${pid}/task/${tid}/comm`, 'latin1').trim();
    return { tid: Number(tid), name: name as (typeof ROLES)[keyof typeof ROLES] };
  });
}

/**
 * The points of a counted run: calls on a file below one of `folders`, on a socket, or on the log. Where several threads have a role, the
 * n-th call is that of the thread that makes its n-th first.
 */
export function pointsOf(
  lines: readonly string[],
  roleOf: (tid: number) => Role | undefined,
  folders: readonly string[],
): readonly Point[] {
  const counts = new Map<string, number>();
  const points = new Map<string, Point>();
  for (const line of lines) {
    const [, tid, call] = /^(\d+) +(\w+)\(/.exec(line) ?? [];
    const role = roleOf(Number(tid));
    if (call === undefined || role === undefined) continue;
    const n = (counts.get(`${tid} ${call}`) ?? 0) + 1;
    counts.set(`${tid} ${call}`, n);
    const point = { role, call: call as Call, n, socket: /<(TCP|UDP)/.test(line) };
    const name = nameOf(point);
    const first = !points.has(name) && !counts.has(name);
    counts.set(name, 1);
    if (first && matters(line, folders)) points.set(name, point);
  }
  return [...points.values()];
}

/** A file below one of `folders`, a socket, or the log. */
export function matters(line: string, folders: readonly string[]): boolean {
  return (
    folders.some((folder) => line.includes(folder)) ||
    /<(TCP|UDP|TCPv6|UDPv6|socket):|\b(socket|connect|accept4)\(|write\(1</.test(line)
  );
}

function isAlive(pid: number): boolean {
  try {
    return !readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ');
  } catch {
    return false;
  }
}
