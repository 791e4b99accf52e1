/**
 * Has the files for browsers made by a process that ends soon: what compiles and packs them takes 30 MiB, which a relay whose console nobody
 * opens would never give back. If anything fails, the first visit makes them.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { constants, setPriority } from 'node:os';
import { fileURLToPath } from 'node:url';
import { MINUTE } from '../system/clock.ts';

/** @returns when it has ended. Never rejects. */
export async function preparePages(stopped: AbortSignal): Promise<void> {
  const { NODE_COMPILE_CACHE: cache } = process.env;
  if (cache === undefined || stopped.aborted) return; // nothing would be kept
  const child = begin(cache, stopped);
  if (child === undefined) return;
  child.unref();
  standBack(child);
  await new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  });
}

/** @returns undefined where this machine lets no process be started: Node throws for some of the causes, and tells others by an event. */
function begin(cache: string, signal: AbortSignal): ChildProcess | undefined {
  const args = ['--disable-warning=ExperimentalWarning', fileURLToPath(new URL('./page-build.ts', import.meta.url))];
  try {
    return spawn(process.execPath, args, { env: { NODE_COMPILE_CACHE: cache }, stdio: 'ignore', signal, timeout: 5 * MINUTE });
  } catch {
    return undefined;
  }
}

/** Mail goes first, where a service may say so. */
function standBack({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    setPriority(pid, constants.priority.PRIORITY_BELOW_NORMAL);
  } catch {
    // it has a second of work
  }
}
