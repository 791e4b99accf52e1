/**
 * The store whose data are files of this machine. It promises what every store promises, and adds what only files have: an owner, a lock
 * for one `serve` at a time, a sweep of what the last one left, a disk that fills, backup and restore, and a look without opening.
 * The rest of the program reaches `store/sqlite/` by this file alone.
 */
import { type DiskWatch, startDiskWatch } from '../../system/disk-watch.ts';
import type { OpenOptions } from '../opening.ts';
import { type BackupRequest, backupStore } from '../sqlite/backup.ts';
import type { BackupCounts } from '../sqlite/backup-file.ts';
import { peekSigningDomains } from '../sqlite/peek.ts';
import { type Restored, type RestoreRequest, restoreStore } from '../sqlite/restore.ts';
import { openSqlite } from '../sqlite/sqlite-store.ts';
import type { Store } from '../store.ts';
import { becomeOwner, type DataOwner, dataOwner } from './data-dir.ts';
import { type InstanceLock, isInstanceRunning, lockInstance } from './instance-lock.ts';

export type EmbeddedOptions = OpenOptions & {
  /** Milliseconds to wait for a transaction of another process; default 10 s. */
  readonly busyTimeout?: number;
  /**
   * For `serve` alone, with the lock held and before its ports open: removes spooled bodies that no message names,
   * sets aside messages whose spooled body is gone or cut short, and counts the queue anew.
   */
  readonly sweep?: boolean;
};

/** An open store, and its files. */
export type EmbeddedStore = Store & { readonly files: StoreFiles };

/** The files of a store, whether a process has them open or not. */
export type StoreFiles = {
  /** Made with mode 0700 where there is none. */
  readonly dataDir: string;
  /** @throws StoreError with the one sentence the operator needs. */
  open(options?: EmbeddedOptions): Promise<EmbeddedStore>;
  /** The user that `becomeOwner` would take; undefined where nothing changes. */
  owner(): DataOwner | undefined;
  /**
   * A command started by root takes the user and group that own `dataDir`, so that it leaves no file that `serve` cannot open.
   * Call it before anything is opened. Does nothing for other users, and where there is no directory yet.
   */
  becomeOwner(): void;
  /** One `serve` at a time; the lock ends with its process. @throws StoreError naming the process that runs. */
  lock(): Promise<InstanceLock>;
  /** Whether a `serve` has the lock. */
  isRunning(): boolean;
  watchDisk(): Promise<DiskWatch>;
  /**
   * Only reads in `dataDir`, also while a `serve` writes there. An older backup of that name is replaced when the new one is complete and checked.
   * @throws StoreError with one sentence; nothing is left behind then.
   */
  backup(request: Omit<BackupRequest, 'dataDir'>): Promise<BackupCounts>;
  /** @throws StoreError where the directory is in use or not empty, or the file is no whole backup: nothing is changed then. */
  restore(request: Omit<RestoreRequest, 'dataDir'>): Promise<Restored>;
  /**
   * Domains with a DKIM key that signs, in a store of any version. As root it must be called after `becomeOwner`: a reader leaves files too.
   * @returns undefined where they cannot be known.
   */
  peekSigningDomains(): readonly string[] | undefined;
};

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
