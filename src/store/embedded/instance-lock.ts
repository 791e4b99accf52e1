/** One `serve` for one data directory: a lock that the kernel frees when its process ends, however it ends. */
import { closeSync, existsSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { StoreError } from '../opening.ts';
import { prepareDataDir } from './data-dir.ts';

export type InstanceLock = { release(): Promise<void> };

/**
 * Node has no file locks, SQLite has: an exclusive transaction on a database of its own, never ended.
 * @throws StoreError naming the process that runs.
 */
export async function lockInstance(dataDir: string): Promise<InstanceLock> {
  prepareDataDir(dataDir);
  const pidFile = pidFileOf(dataDir);
  const lockFile = join(dataDir, 'instance.lock');
  closeSync(openSync(lockFile, 'a', 0o600));
  const lock = new DatabaseSync(lockFile, { timeout: 0 });
  try {
    // Nothing is ever written, so there is no journal that a next start would have to look at.
    lock.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE');
  } catch (cause) {
    lock.close();
    throw new StoreError(refusal(dataDir, cause as Error & { errcode?: number }), { cause });
  }
  writeFileSync(pidFile, String(process.pid), { mode: 0o600 });
  return {
    async release() {
      if (!lock.isOpen) return;
      rmSync(pidFile, { force: true });
      lock.close();
    },
  };
}

const SQLITE_BUSY = 5;

/** Whether a `serve` has the data directory. A lock is looked at only where one was left, so that no start is disturbed. */
export function isInstanceRunning(dataDir: string): boolean {
  if (!existsSync(pidFileOf(dataDir))) return false;
  const lock = new DatabaseSync(join(dataDir, 'instance.lock'), { timeout: 0, readOnly: true });
  try {
    lock.prepare('SELECT 1 FROM sqlite_schema').get();
    return false;
  } catch (error) {
    return (error as Error & { errcode?: number }).errcode === SQLITE_BUSY;
  } finally {
    lock.close();
  }
}

/** Whether a `serve` of another process has it. */
export function isInstanceElsewhere(dataDir: string): boolean {
  return readPid(dataDir) !== String(process.pid) && isInstanceRunning(dataDir);
}

function refusal(dataDir: string, error: Error & { errcode?: number }): string {
  if (error.errcode !== SQLITE_BUSY) return `Cannot lock ${dataDir}: ${error.message}`;
  const pid = readPid(dataDir); // only for the sentence: the lock decides, not this file
  const process = pid === undefined ? '' : ` (process ${pid})`;
  return `Another smarthost serve${process} runs on ${dataDir}: stop it first, or give this one a dataDir of its own`;
}

const pidFileOf = (dataDir: string) => join(dataDir, 'instance.pid');

/** It is written a moment after the lock was taken. */
function readPid(dataDir: string): string | undefined {
  try {
    return readFileSync(pidFileOf(dataDir), 'utf8');
  } catch {
    return undefined;
  }
}
