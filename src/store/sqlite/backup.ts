/**
 * Makes a backup while the relay runs. It copies one snapshot of the database in steps that delay no commit, and then the large bodies.
 * A message may end after the snapshot, so that its body is gone; the backup then has this message as it ended.
 *
 * The relay cannot clear its log (`smarthost.db-wal`) while a snapshot is open. If the log grows too much during the copy, the backup
 * closes the snapshot and begins again, a few times.
 *
 * Root may write the backup into any directory, but opens the data directory only with the rights of its owner.
 */
import { closeSync, constants, existsSync, fstatSync, lstatSync, openSync, readSync, statfsSync, statSync } from 'node:fs';
import { link, open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { backup, DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { crc32 } from 'node:zlib';
import { SECOND } from '../../system/clock.ts';
import { asOwner, DATABASE_FILE, SPOOL_DIR, syncDirectory } from '../embedded/data-dir.ts';
import { StoreError } from '../opening.ts';
import { BACKUP_ID, BACKUP_TABLES, type BackupCounts, countAll, PIECE, verifyBackup } from './backup-file.ts';
import type { SqliteError } from './database.ts';
import { APPLICATION_ID } from './schema.ts';
import { isSpoolName } from './spool.ts';

export type BackupRequest = {
  readonly dataDir: string;
  readonly file: string;
  /** Bytes that the log may grow by during one copy. Default 1 GiB, or a quarter of the free space if that is less. */
  readonly maxLogGrowth?: number;
  /** Milliseconds between two tries. */
  readonly pause?: number;
  /** Called between two steps of a copy. */
  readonly onStep?: () => void;
};

/** The pages of one step: 4 MiB. */
const STEP_PAGES = 256;
const BUSY = 10 * SECOND;
const MAX_LOG_GROWTH = 1024 ** 3;
const TRIES = 3;
/** Time for the relay to clear its log with a commit. */
const PAUSE = 5 * SECOND;

/** See `StoreFiles`. The files that SQLite makes in `dataDir` belong to the owner of the database, also if the process is root. */
export async function backupStore({ dataDir, file, ...bounds }: BackupRequest): Promise<BackupCounts> {
  const path = join(dataDir, DATABASE_FILE);
  asOwner(dataDir, () => {
    if (!existsSync(path)) throw new StoreError(`There is no store in ${dataDir}`);
    if (!lstatSync(path).isFile()) throw new StoreError(`${path} is a link or no file: it is not read`);
  });
  const replaces = existsSync(file);
  if (replaces) verifyBackup(file, `${file} exists already and`);
  const partial = `${file}.partial`;
  try {
    await (await open(partial, 'wx', 0o600)).close();
  } catch (cause) {
    throw new StoreError(explain(partial, cause as NodeJS.ErrnoException), { cause });
  }
  try {
    await copyDatabase(dataDir, partial, bounds);
    await addSpool(dataDir, partial);
    const counts = verifyBackup(partial, 'The new backup');
    await sync(partial);
    if (replaces) await rename(partial, file);
    else await giveName(partial, file);
    syncDirectory(dirname(file));
    return counts;
  } catch (cause) {
    await rm(partial, { force: true });
    if (cause instanceof StoreError) throw cause;
    throw new StoreError(`The backup failed: ${(cause as Error).message}`, { cause });
  }
}

/** For a name that was free at the start. A file that another program made meanwhile is not replaced. */
async function giveName(partial: string, file: string): Promise<void> {
  try {
    await link(partial, file);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') throw new StoreError(`${file} was made by another program meanwhile: nothing is written`);
    return rename(partial, file); // a file system without links
  }
  await rm(partial);
}

function explain(partial: string, { code, message }: NodeJS.ErrnoException): string {
  if (code === 'EEXIST') return `${partial} exists: another backup runs, or one was interrupted; remove it then`;
  return `${partial} cannot be written: ${code ?? message}`;
}

type Bounds = Pick<BackupRequest, 'maxLogGrowth' | 'pause' | 'onStep'>;

/** @throws StoreError if the log grew too much in each try. */
async function copyDatabase(dataDir: string, partial: string, { maxLogGrowth, pause = PAUSE, onStep }: Bounds): Promise<void> {
  for (let left = TRIES; ; ) {
    try {
      return await copySnapshot(dataDir, partial, { most: maxLogGrowth ?? roomForLog(dataDir), onStep });
    } catch (error) {
      if (!(error instanceof LogTooLong)) throw error;
      if (--left === 0) throw new StoreError(error.message, { cause: error });
    }
    await sleep(pause);
  }
}

function roomForLog(dataDir: string): number {
  const { bavail, bsize } = statfsSync(dataDir);
  return Math.min(MAX_LOG_GROWTH, (bavail * bsize) / 4);
}

class LogTooLong extends Error {
  override readonly name = 'LogTooLong';
}

/** @returns a check that throws if the log has grown by more than `most` bytes. */
function guardLog(dataDir: string, most: number): () => void {
  const log = join(dataDir, `${DATABASE_FILE}-wal`);
  const size = () => statSync(log, { throwIfNoEntry: false })?.size ?? 0;
  const begin = size();
  return () => {
    if (size() - begin > most)
      throw new LogTooLong(
        `While the copy was written, ${log} grew by more than ${Math.ceil(most / 1024 ** 2)} MiB, ${TRIES} times: write the backup to a faster disk, make room beside the store, or do it when less mail arrives`,
      );
  };
}

type SnapshotBounds = { readonly most: number; readonly onStep: (() => void) | undefined };

/** An open transaction is a snapshot. Later commits neither change the copy nor restart it. */
async function copySnapshot(dataDir: string, partial: string, { most, onStep = () => {} }: SnapshotBounds): Promise<void> {
  const source = openSnapshot(dataDir);
  let before: BackupCounts;
  try {
    before = countAll(source);
    const look = guardLog(dataDir, most);
    const progress = () => {
      onStep();
      look();
    };
    await backup(source, partial, { rate: STEP_PAGES, progress });
  } catch (cause) {
    throw unreadable(join(dataDir, DATABASE_FILE), cause);
  } finally {
    source.close();
  }
  const copy = new DatabaseSync(partial);
  try {
    if (JSON.stringify(countAll(copy)) !== JSON.stringify(before)) throw new StoreError('The copy differs from the store');
  } finally {
    copy.close();
  }
}

/** When it returns, SQLite has opened all its files: the database at once, the log and its index by the first read. */
function openSnapshot(dataDir: string): DatabaseSync {
  const path = join(dataDir, DATABASE_FILE);
  return asOwner(dataDir, () => {
    let source: DatabaseSync | undefined;
    try {
      source = new DatabaseSync(path, { readOnly: true, timeout: BUSY });
      source.exec('BEGIN');
      const { application_id: id } = source.prepare('PRAGMA application_id').get() as { application_id: number };
      if (id !== APPLICATION_ID) throw new StoreError(`${path} is not a store of smarthost`);
      return source;
    } catch (cause) {
      source?.close();
      throw unreadable(path, cause);
    }
  });
}

function unreadable(path: string, cause: unknown): Error {
  if (cause instanceof StoreError || cause instanceof LogTooLong) return cause;
  return new StoreError(`${path} cannot be read: ${(cause as SqliteError).message}`, { cause });
}

async function addSpool(dataDir: string, partial: string): Promise<void> {
  const db = new DatabaseSync(partial);
  try {
    // The backup is one file without a log. SQLite switches the journal off only from DELETE.
    db.exec(`PRAGMA journal_mode = DELETE; PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; ${BACKUP_TABLES}`);
    const rows = db
      .prepare('SELECT id, spool AS name, spool_size AS size, spool_verify AS verify FROM open WHERE spool IS NOT NULL')
      .all();
    const owner = asOwner(dataDir, () => lstatSync(join(dataDir, DATABASE_FILE)).uid);
    for (const row of rows as SpoolRow[]) {
      if (addBody(db, dataDir, { ...row, owner })) continue;
      db.prepare('DELETE FROM backup_spool WHERE name = ?').run(row.name);
      takeEnd(db, dataDir, row.id);
    }
    const facts = { ...countAll(db), spooled: sum(db) };
    for (const [name, value] of Object.entries(facts)) db.prepare('INSERT INTO backup_facts VALUES (?, ?)').run(name, value);
    db.exec(`PRAGMA application_id = ${BACKUP_ID}`);
  } finally {
    db.close();
  }
}

type SpoolRow = { readonly id: string; readonly name: string; readonly size: number; readonly verify: number | null };

/**
 * The names come from a database that the owner of the data can write, and the process may be root. So only files with a spool name
 * that belong to this owner are read. @returns false if the body is missing or differs from what was stored.
 */
function addBody(db: DatabaseSync, dataDir: string, { name, size, verify, owner }: SpoolRow & { owner: number }): boolean {
  if (!isSpoolName(name)) return false;
  let file: number;
  try {
    const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
    file = asOwner(dataDir, () => openSync(join(dataDir, SPOOL_DIR, name), flags));
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ELOOP' || code === 'EACCES') return false;
    throw error;
  }
  try {
    const stats = fstatSync(file);
    if (!stats.isFile() || stats.uid !== owner) return false;
    const insert = db.prepare('INSERT INTO backup_spool VALUES (?, ?, ?)');
    const piece = Buffer.allocUnsafeSlow(PIECE);
    let length = 0;
    let check = 0;
    for (let n = 0; length < size; n++) {
      const bytesRead = readSync(file, piece, 0, Math.min(PIECE, size - length), length);
      if (bytesRead === 0) return false;
      const bytes = piece.subarray(0, bytesRead);
      check = crc32(bytes, check);
      length += bytesRead;
      insert.run(name, n, bytes);
    }
    return verify === null || check === verify;
  } finally {
    closeSync(file);
  }
}

/** Copies the end of a message that has ended since the snapshot. A message that still waits is damaged, and is not changed. */
function takeEnd(db: DatabaseSync, dataDir: string, id: string): void {
  const live = openSnapshot(dataDir);
  try {
    if (live.prepare('SELECT 1 FROM open WHERE id = ?').get(id) !== undefined) return;
    for (const table of ['messages', 'recipients', 'attempts', 'untold']) {
      const key = table === 'messages' ? 'id' : 'message';
      db.prepare(`DELETE FROM ${table} WHERE ${key} = ?`).run(id);
      for (const row of live.prepare(`SELECT * FROM ${table} WHERE ${key} = ?`).all(id)) {
        const values = Object.values(row);
        db.prepare(`INSERT INTO ${table} VALUES (${values.map(() => '?').join(', ')})`).run(...values);
      }
    }
    db.prepare('DELETE FROM contents WHERE key = (SELECT content FROM open WHERE id = ?)').run(id);
    db.prepare('DELETE FROM open WHERE id = ?').run(id);
  } finally {
    live.close();
  }
}

function sum(db: DatabaseSync): number {
  const row = db.prepare('SELECT coalesce(sum(length(bytes)), 0) AS n FROM backup_spool').get() as { n: number };
  return row.n;
}

async function sync(path: string): Promise<void> {
  const file = await open(path, 'r+');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}
