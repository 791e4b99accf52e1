/** Starts store-child.ts, perhaps below another program, and reads its lines. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { onTestFinished } from 'vitest';
import { until } from './store-rig.ts';

const SCRIPT = new URL('store-child.ts', import.meta.url).pathname;

export type StoreProcess = {
  readonly child: ChildProcess;
  readonly lines: string[];
  /** Waits for a line that begins with this. */
  seen(start: string, patience?: number): Promise<void>;
  /** SIGKILL, and all that it had printed has been read. */
  kill(): Promise<void>;
};

/** @param below a command that starts the rest of its line, like `strace …`. */
export function startStoreProcess(
  dataDir: string,
  mode: 'accept' | 'try' | 'lock' | 'claim' | 'change',
  below: readonly string[] = [],
): StoreProcess {
  const [command = '', ...args] = [...below, process.execPath, SCRIPT, dataDir, mode];
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'], detached: true });
  const lines: string[] = [];
  const reader = createInterface({ input: child.stdout as NodeJS.ReadableStream });
  reader.on('line', (line) => lines.push(line));
  const closed = once(reader, 'close');
  const kill = async () => {
    if (child.exitCode === null && child.signalCode === null && child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    await closed;
  };
  onTestFinished(kill);
  return { child, lines, kill, seen: (start, patience) => until(() => lines.some((line) => line.startsWith(start)), patience) };
}
