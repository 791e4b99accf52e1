/**
 * A backup while the relay runs: one snapshot of the database, copied in steps that hold up nobody's commit, then the large bodies
 * that it names. A message that ended after the snapshot, so that its body is gone, stands in the backup as it ended.
 */
import { constants, existsSync, lstatSync } from 'node:fs';
import { type FileHandle, link, open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { backup, DatabaseSync } from 'node:sqlite';
import { crc32 } from 'node:zlib';
import { SECOND } from '../../system/clock.ts';
import { StoreError } from '../contract.ts';
import { BACKUP_ID, BACKUP_TABLES, type BackupCounts, countAll, PIECE, verifyBackup } from './backup-file.ts';
import { DATABASE_FILE, SPOOL_DIR, syncDirectory } from './data-dir.ts';
import type { SqliteError } from './database.ts';
import { APPLICATION_ID } from './schema.ts';
import { isSpoolName } from './spool.ts';

export type BackupRequest = { readonly dataDir: string; readonly file: string };

/** Pages in one step: 4 MiB. */
const STEP_PAGES = 256;
const BUSY = 10 * SECOND;

/**
 * Only reads in `dataDir`; what SQLite makes there belongs to the owner of the database, also when root asks.
 * An older backup of that name is replaced when the new one is complete and checked.
 * @throws StoreError with one sentence; nothing is left behind then.
 */
export async function backupStore({ dataDir, file }: BackupRequest): Promise<BackupCounts> {
  const path = join(dataDir, DATABASE_FILE);
  if (!existsSync(path)) throw new StoreError(`There is no store in ${dataDir}`);
  if (!lstatSync(path).isFile()) throw new StoreError(`${path} is a link or no file: it is not read`);
  const replaces = existsSync(file);
  if (replaces) verifyBackup(file, `${file} exists already and`);
  const partial = `${file}.partial`;
  try {
    await (await open(partial, 'wx', 0o600)).close();
  } catch (cause) {
    throw new StoreError(explain(partial, cause as NodeJS.ErrnoException), { cause });
  }
  try {
    await copyDatabase(path, partial);
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

/** Of what was not there when the backup began: what somebody put there meanwhile stays. */
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

/** An open transaction is a snapshot: what is committed meanwhile neither disturbs the copy nor begins it anew. */
async function copyDatabase(path: string, partial: string): Promise<void> {
  const source = new DatabaseSync(path, { readOnly: true, timeout: BUSY });
  try {
    source.exec('BEGIN');
    const { application_id: id } = source.prepare('PRAGMA application_id').get() as { application_id: number };
    if (id !== APPLICATION_ID) throw new StoreError(`${path} is not a store of smarthost`);
    const before = countAll(source);
    await backup(source, partial, { rate: STEP_PAGES });
    const copy = new DatabaseSync(partial);
    try {
      const after = countAll(copy);
      if (JSON.stringify(after) !== JSON.stringify(before)) throw new StoreError('The copy differs from the store');
    } finally {
      copy.close();
    }
  } catch (cause) {
    if (cause instanceof StoreError) throw cause;
    throw new StoreError(`${path} cannot be read: ${(cause as SqliteError).message}`, { cause });
  } finally {
    source.close();
  }
}

async function addSpool(dataDir: string, partial: string): Promise<void> {
  const db = new DatabaseSync(partial);
  try {
    // One file and no other: the log of the original has nothing to do here. Off can be reached by this way alone.
    db.exec(`PRAGMA journal_mode = DELETE; PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; ${BACKUP_TABLES}`);
    const rows = db
      .prepare('SELECT id, spool AS name, spool_size AS size, spool_verify AS verify FROM open WHERE spool IS NOT NULL')
      .all();
    const owner = lstatSync(join(dataDir, DATABASE_FILE)).uid;
    for (const row of rows as SpoolRow[]) {
      if (await addBody(db, join(dataDir, SPOOL_DIR, row.name), { ...row, owner })) continue;
      db.prepare('DELETE FROM backup_spool WHERE name = ?').run(row.name);
      takeEnd(db, join(dataDir, DATABASE_FILE), row.id);
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
 * The names come from a database that the service's user writes, and root may ask: only files of our names that belong to that user are read.
 * @returns false where the body is gone or not what was stored.
 */
async function addBody(
  db: DatabaseSync,
  path: string,
  { name, size, verify, owner }: SpoolRow & { owner: number },
): Promise<boolean> {
  if (!isSpoolName(name)) return false;
  let file: FileHandle;
  try {
    file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ELOOP') return false;
    throw error;
  }
  try {
    const stats = await file.stat();
    if (!stats.isFile() || stats.uid !== owner) return false;
    const insert = db.prepare('INSERT INTO backup_spool VALUES (?, ?, ?)');
    const piece = Buffer.allocUnsafeSlow(PIECE);
    let length = 0;
    let check = 0;
    for (let n = 0; length < size; n++) {
      const { bytesRead } = await file.read(piece, 0, Math.min(PIECE, size - length), length);
      if (bytesRead === 0) return false;
      const bytes = piece.subarray(0, bytesRead);
      check = crc32(bytes, check);
      length += bytesRead;
      insert.run(name, n, bytes);
    }
    return verify === null || check === verify;
  } finally {
    await file.close();
  }
}

/** The message has ended since the snapshot, and the store knows how. One that still waits is damaged: its recipients stay as they are. */
function takeEnd(db: DatabaseSync, path: string, id: string): void {
  const live = new DatabaseSync(path, { readOnly: true, timeout: BUSY });
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
