/** Runs real programs for a test: started in the foreground, ready or failed within a deadline, ended by their process id. */
import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hasCommand, SEARCH_PATH } from './peers.ts';

const SECOND = 1000;
/** Most output of a program that is kept. */
const MAX_OUTPUT = 8 * 1024 * 1024;

export type ProgramOptions = {
  readonly command: string;
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
};

export type Program = {
  readonly pid: number;
  /** All that it wrote so far, stdout and stderr as they came. */
  output(): string;
  /** Resolves with the exit code, or the signal that ended it. */
  readonly ended: Promise<number | NodeJS.Signals>;
  signal(name: NodeJS.Signals): void;
  /** SIGTERM, then after five seconds SIGKILL to it and its children; resolves when it has ended. */
  close(): Promise<void>;
};

/** Groups still alive; ended with this process, however a test left them. */
const running = new Set<number>();
process.once('exit', () => {
  for (const pid of running) signalGroup(pid, 'SIGKILL');
});

/** Linux ends what is started so when this process ends, even by SIGKILL. */
const ENDS_WITH_US = hasCommand('setpriv') ? ['setpriv', '--pdeathsig', 'KILL'] : [];

/** Starts a program in a process group of its own, so that its children end with it. */
export function startProgram({ command, args = [], env, cwd }: ProgramOptions): Program {
  const [first = command, ...rest] = [...ENDS_WITH_US, command, ...args];
  const child = spawn(first, rest, {
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, PATH: SEARCH_PATH, ...env },
    ...(cwd === undefined ? {} : { cwd }),
  });
  const output = collect(child);
  const ended = new Promise<number | NodeJS.Signals>((resolve) => {
    child.once('error', (error) => {
      output.add(`${error.message}\n`);
      resolve(127);
    });
    child.once('exit', (code, signal) => resolve(signal ?? code ?? 1));
  });
  const pid = child.pid ?? 0;
  if (pid !== 0) running.add(pid);
  return {
    pid,
    ended,
    output: output.text,
    signal: (name) => child.kill(name),
    async close() {
      child.kill('SIGTERM');
      const timer = setTimeout(() => signalGroup(pid, 'SIGKILL'), 5 * SECOND);
      await ended;
      clearTimeout(timer);
      signalGroup(pid, 'SIGKILL'); // children that outlived it
      await until(`the children of ${command} ended`, () => !signalGroup(pid, 0), { deadline: 5 * SECOND });
      running.delete(pid);
    },
  };
}

/** The result of one run of a command. */
export type Result = { readonly code: number | NodeJS.Signals; readonly stdout: string; readonly stderr: string };

/** Runs a command to its end; never rejects for its exit code. @param timeout milliseconds, then it is killed */
export function run(
  command: string,
  args: readonly string[],
  options: { input?: string | Buffer; env?: Readonly<Record<string, string>>; cwd?: string; timeout?: number } = {},
): Promise<Result> {
  const { input = '', env, cwd, timeout = 120 * SECOND } = options;
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      stdio: ['pipe', 'pipe', 'pipe'],
      timeout,
      killSignal: 'SIGKILL',
      env: { ...process.env, PATH: SEARCH_PATH, ...env },
      ...(cwd === undefined ? {} : { cwd }),
    });
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
    child.stdin.on('error', () => {}); // it ended without reading: its exit code tells
    child.stdin.end(input);
    const done = (code: number | NodeJS.Signals) =>
      resolve({ code, stdout: Buffer.concat(stdout).toString(), stderr: Buffer.concat(stderr).toString() });
    child.once('error', (error) => {
      stderr.push(Buffer.from(error.message));
      done(127);
    });
    child.once('close', (code, signal) => done(signal ?? code ?? 1));
  });
}

/** Runs a command that must succeed. @throws Error with what it wrote */
export async function mustRun(
  command: string,
  args: readonly string[],
  options: Parameters<typeof run>[2] = {},
): Promise<string> {
  const { code, stdout, stderr } = await run(command, args, options);
  if (code !== 0) throw new Error(`${command} ${args.join(' ')}: exit ${code}\n${stderr}${stdout}`);
  return stdout;
}

/** Waits until `probe` gives something; looks again every 25 ms. @throws Error after `deadline` ms, with what `context` tells */
export async function until<T>(
  what: string,
  probe: () => T | undefined | false | null | Promise<T | undefined | false | null>,
  { deadline = 90 * SECOND, context = () => '' }: { deadline?: number; context?: () => string } = {},
): Promise<T> {
  const end = Date.now() + deadline;
  for (;;) {
    const found = await probe();
    if (found !== undefined && found !== false && found !== null) return found;
    if (Date.now() > end) throw new Error(`${what}: not within ${deadline / SECOND} s\n${context()}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

/** As `until`, and gives up at once when the program ends. */
export async function untilReady(program: Program, what: string, probe: () => unknown, output = program.output): Promise<void> {
  let end: number | NodeJS.Signals | undefined;
  void program.ended.then((code) => {
    end = code;
  });
  const ready = async () => {
    if (end !== undefined) throw new Error(`${what} ended with ${end}\n${output()}`);
    return (await probe()) ? true : undefined;
  };
  try {
    await until(what, ready, { deadline: 90 * SECOND, context: output });
  } catch (error) {
    await program.close();
    throw error;
  }
}

/** A folder for one server; readable by the users that servers change to. */
export function temporaryFolder(name: string): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), `smarthost-${name}-`));
  chmodSync(path, 0o755);
  return { path, remove: () => rmSync(path, { recursive: true, force: true, maxRetries: 5 }) };
}

/** A loopback address that no other test uses: servers that must share a port get an address each. */
export function loopbackAddress(): string {
  const octet = () => 1 + Math.floor(Math.random() * 250);
  return `127.${octet()}.${octet()}.${octet()}`;
}

/**
 * A port that is free on all the addresses now. Below those that outgoing connections take: while a server is down between two
 * starts, a client that tries again could be given its port, and even connect to itself.
 */
export async function freePort(...addresses: readonly string[]): Promise<number> {
  const all = addresses.length === 0 ? ['127.0.0.1'] : addresses;
  for (let attempt = 0; attempt < 100; attempt++) {
    const port = 15_000 + Math.floor(Math.random() * 17_000);
    if ((await Promise.all(all.map((address) => isFree(address, port)))).every(Boolean)) return port;
  }
  throw new Error(`no port is free on ${all.join(', ')}`);
}

function isFree(address: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, address, () => server.close(() => resolve(true)));
  });
}

function collect(child: ChildProcess): { text(): string; add(text: string): void } {
  let text = '';
  const add = (chunk: string) => {
    text = (text + chunk).slice(-MAX_OUTPUT);
  };
  child.stdout?.setEncoding('utf8').on('data', add);
  child.stderr?.setEncoding('utf8').on('data', add);
  return { text: () => text, add };
}

/** @returns false where the group has ended already */
function signalGroup(pid: number, name: NodeJS.Signals | 0): boolean {
  if (pid === 0) return false;
  try {
    return process.kill(-pid, name);
  } catch {
    return false;
  }
}
