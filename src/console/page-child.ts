/**
 * Has the files for browsers made by a process that ends soon: what compiles and packs them takes 30 MiB, which a relay whose console nobody
 * opens would never give back. If anything fails, the first visit makes them.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { constants, setPriority } from 'node:os';
import { fileURLToPath } from 'node:url';
import { MINUTE } from '../system/clock.ts';

/** @returns when it has ended. Never rejects. */
export function preparePages(stopped: AbortSignal): Promise<void> {
  const { NODE_COMPILE_CACHE: cache } = process.env;
  if (cache === undefined || stopped.aborted) return Promise.resolve(); // nothing would be kept
  const child = spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', fileURLToPath(new URL('./page-build.ts', import.meta.url))],
    { env: { NODE_COMPILE_CACHE: cache }, stdio: 'ignore', signal: stopped, timeout: 5 * MINUTE },
  );
  child.unref();
  standBack(child);
  return new Promise((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  });
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
