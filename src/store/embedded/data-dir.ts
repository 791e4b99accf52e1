/** The directory of the store: its owner, and a check that no other user can read it. */
import {
  chmodSync,
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  type Stats,
  statSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { StoreError } from '../opening.ts';

export const SPOOL_DIR = 'spool';
export const DATABASE_FILE = 'smarthost.db';

/** See `StoreFiles`. */
export function becomeOwner(dataDir: string): void {
  const owner = dataOwner(dataDir);
  if (owner === undefined) return;
  const { uid, gid, user } = owner;
  try {
    if (user === String(uid)) process.setgroups?.([gid]);
    else (process as NodeJS.Process & Accounts).initgroups(user, gid);
    process.setgid?.(gid);
    process.setuid?.(uid);
  } catch (cause) {
    throw notTaken(dataDir, uid, cause as Error);
  }
}

const notTaken = (dataDir: string, uid: number, cause: Error) =>
  new StoreError(`Cannot take the user that owns ${dataDir} (uid ${uid}): ${cause.message}`, { cause });

/**
 * If the process is root, runs `open` with the rights of the owner of `dataDir` only, so that root opens no file that this user could not
 * open. The process is root again afterwards. Only for opening files; all other work calls `becomeOwner`.
 */
export function asOwner<T>(dataDir: string, open: () => T): T {
  const owner = dataOwner(dataDir);
  if (owner === undefined) return open();
  const { uid, gid } = owner;
  const before = { gid: process.getegid?.() ?? 0, groups: process.getgroups?.() ?? [] };
  try {
    try {
      process.setgroups?.([gid]);
      process.setegid?.(gid);
      process.seteuid?.(uid);
    } catch (cause) {
      throw notTaken(dataDir, uid, cause as Error);
    }
    return open();
  } finally {
    process.seteuid?.(0);
    process.setegid?.(before.gid);
    process.setgroups?.(before.groups);
  }
}

/** `user` and `group` are names, or numbers if there is no name. */
export type DataOwner = { readonly uid: number; readonly gid: number; readonly user: string; readonly group: string };

/** The user that `becomeOwner` would take. undefined: it would change nothing. */
export function dataOwner(dataDir: string): DataOwner | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const stats = statSync(dataDir, { throwIfNoEntry: false });
  if (stats === undefined || stats.uid === 0) return undefined;
  const { uid, gid } = stats;
  return { uid, gid, user: nameIn('/etc/passwd', uid), group: nameIn('/etc/group', gid) };
}

/** In the documentation of Node, but not in its types. */
type Accounts = { initgroups(user: string, group: number): void };

/** Only an account with a name gets its supplementary groups. */
function nameIn(file: string, id: number): string {
  const accounts = readFileSync(file, 'utf8').split('\n');
  return accounts.find((line) => line.split(':')[2] === String(id))?.split(':')[0] ?? String(id);
}

/** Makes missing directories and files, and syncs their names. @throws StoreError if other users can read them. */
export function prepareDataDir(dataDir: string): void {
  try {
    makeDirectory(dataDir);
    refuseReadable(dataDir);
    makeDirectory(join(dataDir, SPOOL_DIR));
    refuseReadable(join(dataDir, SPOOL_DIR));
    makeDatabaseFile(join(dataDir, DATABASE_FILE));
    refuseReadable(join(dataDir, DATABASE_FILE));
    syncDirectory(dataDir);
  } catch (cause) {
    if (cause instanceof StoreError) throw cause;
    throw new StoreError(explain(dataDir, cause as NodeJS.ErrnoException), { cause });
  }
}

/** Makes one directory at a time. Node's `recursive` never ends if a directory gives ENOENT although its parent exists, as below /proc. */
function makeDirectory(path: string): void {
  if (existsSync(path)) return;
  const parent = dirname(path);
  makeDirectory(parent);
  try {
    mkdirSync(path, 0o700);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error; // another process was faster
  }
  syncDirectory(parent);
}

/** SQLite copies the mode of this file to its log and its index. */
function makeDatabaseFile(path: string): void {
  closeSync(openSync(path, 'a', 0o600));
}

function refuseReadable(path: string): void {
  const stats = statSync(path);
  if ((stats.mode & 0o007) === 0) return;
  if (takeOver(path, stats)) return;
  const right = stats.isDirectory() ? '700' : '600';
  throw new StoreError(
    `${path} is open to every user of this machine (mode ${(stats.mode & 0o777).toString(8)}): run chmod ${right} ${path}`,
  );
}

/** An empty directory of this user gets the right mode, because it held nothing to read. */
function takeOver(path: string, stats: Stats): boolean {
  if (!stats.isDirectory() || stats.uid !== process.getuid?.() || readdirSync(path).length > 0) return false;
  chmodSync(path, 0o700);
  return true;
}

/** The name of a new file survives a power cut only after a sync of its directory. */
export function syncDirectory(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function explain(dataDir: string, error: NodeJS.ErrnoException): string {
  if (error.code === 'EACCES' || error.code === 'EPERM') {
    return `No permission to use ${dataDir} as uid ${process.getuid?.()}${belongs(dataDir)}`;
  }
  return `Cannot use ${dataDir}: ${error.message}`;
}

function belongs(path: string): string {
  try {
    return `; it belongs to uid ${statSync(path).uid}`;
  } catch {
    return ', not even to look at it'; // a directory above it has no permission for this user, or it was removed meanwhile
  }
}
