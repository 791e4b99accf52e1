/** The lock that allows one `serve` for one data directory. The kernel frees it at every end of its process, also at SIGKILL. */
import { closeSync, existsSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { StoreError } from '../opening.ts';
import { prepareDataDir } from './data-dir.ts';

export type InstanceLock = { release(): Promise<void> };

/**
 * Node has no file locks, but SQLite has. The lock is an exclusive transaction on a database of its own that never ends.
 * @throws StoreError with the number of the process that holds the lock.
 */
export async function lockInstance(dataDir: string): Promise<InstanceLock> {
  prepareDataDir(dataDir);
  const pidFile = pidFileOf(dataDir);
  const lockFile = join(dataDir, 'instance.lock');
  closeSync(openSync(lockFile, 'a', 0o600));
  const lock = new DatabaseSync(lockFile, { timeout: 0 });
  try {
    // The lock writes nothing, so that no journal is left for the next start.
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

/** True if a `serve` has the data directory. The lock is tried only if its file exists, so that a start is not disturbed. */
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

/** True if a `serve` of another process has it. */
export function isInstanceElsewhere(dataDir: string): boolean {
  return readPid(dataDir) !== String(process.pid) && isInstanceRunning(dataDir);
}

function refusal(dataDir: string, error: Error & { errcode?: number }): string {
  if (error.errcode !== SQLITE_BUSY) return `Cannot lock ${dataDir}: ${error.message}`;
  const pid = readPid(dataDir); // only for the sentence: the lock decides
  const process = pid === undefined ? '' : ` (process ${pid})`;
  return `Another smarthost serve${process} runs on ${dataDir}: stop it first, or give this one a dataDir of its own`;
}

const pidFileOf = (dataDir: string) => join(dataDir, 'instance.pid');

/** The file is written just after the lock is taken. */
function readPid(dataDir: string): string | undefined {
  try {
    return readFileSync(pidFileOf(dataDir), 'utf8');
  } catch {
    return undefined;
  }
}
