/**
 * The store whose data are files of this machine. It keeps the promises of every store. It adds an owner of the files, a lock for one
 * `serve` at a time, a sweep at start, the free space of the disk, backup, restore, and a read without opening.
 * The rest of the program reaches `store/sqlite/` only by this file.
 */
import type { MessagePort } from 'node:worker_threads';
import { type DiskWatch, startDiskWatch } from '../../system/disk-watch.ts';
import type { OpenOptions } from '../opening.ts';
import { type BackupRequest, backupStore } from '../sqlite/backup.ts';
import type { BackupCounts } from '../sqlite/backup-file.ts';
import { peekSigningDomains } from '../sqlite/peek.ts';
import { type Restored, type RestoreRequest, restoreStore } from '../sqlite/restore.ts';
import { joinSqlite, openSqlite } from '../sqlite/sqlite-store.ts';
import type { JoinedStore, OpenedStore } from '../store.ts';
import { becomeOwner, type DataOwner, dataOwner } from './data-dir.ts';
import { type InstanceLock, isInstanceRunning, lockInstance } from './instance-lock.ts';

export type { BackupCounts, Restored, RestoreRequest };

export type EmbeddedOptions = OpenOptions & {
  /** Milliseconds to wait for a transaction of another process. Default 10 s. */
  readonly busyTimeout?: number;
  /**
   * Only for `serve`, which holds the lock, before its ports open. Removes spooled bodies that no message names, sets aside messages
   * whose spooled body is missing or cut short, and counts the queue again.
   */
  readonly sweep?: boolean;
};

/** An open store, and its files. */
export type EmbeddedStore = OpenedStore & { readonly files: StoreFiles };

/** The files of a store, whether a process has them open or not. */
export type StoreFiles = {
  /** Made with mode 0700 where there is none. */
  readonly dataDir: string;
  /** @throws StoreError with one sentence for the operator. */
  open(options?: EmbeddedOptions): Promise<EmbeddedStore>;
  /** The user that `becomeOwner` would take. undefined: it would change nothing. */
  owner(): DataOwner | undefined;
  /**
   * If the process is root, it takes the user and group that own `dataDir`, so that it leaves no file that `serve` cannot open. Call it before
   * any file is opened. Does nothing for other users, and if the directory does not exist.
   */
  becomeOwner(): void;
  /** Takes the lock of `serve`, which ends with its process. @throws StoreError with the number of the process that holds it. */
  lock(): Promise<InstanceLock>;
  /** True if a `serve` holds the lock. */
  isRunning(): boolean;
  watchDisk(): Promise<DiskWatch>;
  /**
   * Only reads in `dataDir`, also while a `serve` writes there. Replaces an older backup of that name when the new one is complete and
   * checked. @throws StoreError with one sentence. No file is left then.
   */
  backup(request: Omit<BackupRequest, 'dataDir'>): Promise<BackupCounts>;
  /** @throws StoreError if the directory is in use or not empty, or the file is not a whole backup. Nothing is changed then. */
  restore(request: Omit<RestoreRequest, 'dataDir'>): Promise<Restored>;
  /**
   * Reads the domains with an active DKIM key, from a store of any version. Root must call `becomeOwner` first, because SQLite makes
   * files also for a reader. @returns undefined if the domains cannot be read.
   */
  peekSigningDomains(): readonly string[] | undefined;
};

/** For another thread of the process that has the store open. */
export function joinFiles(dataDir: string, port: MessagePort): JoinedStore {
  return joinSqlite(dataDir, port);
}

export function storeFiles(dataDir: string): StoreFiles {
  const files: StoreFiles = {
    dataDir,
    open: async (options = {}) => ({ ...(await openSqlite({ ...options, dataDir })), files }),
    owner: () => dataOwner(dataDir),
    becomeOwner: () => becomeOwner(dataDir),
    lock: () => lockInstance(dataDir),
    isRunning: () => isInstanceRunning(dataDir),
    watchDisk: () => startDiskWatch(dataDir),
    backup: (request) => backupStore({ ...request, dataDir }),
    restore: (request) => restoreStore({ ...request, dataDir }),
    peekSigningDomains: () => peekSigningDomains(dataDir),
  };
  return files;
}
